"""The tables of docs/readings.md, from the rates that travel with `probe`.

    python -m recipes.readings.tables

Prints them; `tests/readings/test_readings_page.py` holds the page to them.
"""

from __future__ import annotations

from typing import Any

from probe.readings.hit_rates import measured

_ORDER = ("top1", "top5", "mrr")


def rates_table() -> list[str]:
    """Every hit rate with its 95 % interval over texts, line by line."""
    head = "| condition | reading | scorer | first | among the first five | mean reciprocal rank |"
    return [head, "|-|-|-|-|-|-|", *map(_line, measured()["rates"])]


def kinds_table() -> list[str]:
    """Share of texts that are first by overlap, by kind of text, line by line."""
    kinds: dict[str, dict[str, float]] = measured()["kinds"]
    names = list(next(iter(kinds.values())))
    rows = [
        f"| {reading} | {' | '.join(f'{found[name]:.2f}' for name in names)} |"
        for reading, found in kinds.items()
    ]
    return [f"| reading | {' | '.join(names)} |", "|-" * (len(names) + 1) + "|", *rows]


def _line(rate: dict[str, Any]) -> str:
    cells = [
        f"{rate[key]['value']:.3f} ({rate[key]['interval'][0]:.2f} to "
        f"{rate[key]['interval'][1]:.2f})"
        for key in _ORDER
    ]
    named = (rate["condition"], rate["reading"].replace("_", " "), rate["scorer"])
    return f"| {' | '.join((*named, *cells))} |"


if __name__ == "__main__":
    print("\n".join([*kinds_table(), "", *rates_table()]))  # noqa: T201
