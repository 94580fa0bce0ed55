"""Hit rates of readings in a sentence and in tables, the same for a study and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.reading_rates import Rate, ReadingRates

_SCORES = {
    "top1": "first",
    "top5": "among the first five",
    "mrr": "mean reciprocal rank",
}
_BETTER = "better than its control"


def reading_rates_headline(found: ReadingRates) -> list[str]:
    """Which reading found most texts, beside chance and beside the nearest tokens."""
    best = found.best
    if best is None:
        return [f"{counted(len(found.prompts), 'prompt')}, of which nothing has been read yet."]
    lines = [
        f"{best.reading.replace('_', ' ')} named {_named(best)} of {best.tried} known texts first "
        f"on {found.model} ({best.top1.value:.2f}{_ends(best)}; chance {best.chance:.3f}), over "
        f"{counted(best.prompts, 'prompt')} of the condition {best.condition}."
    ]
    near = next((one for one in found.rates if _same(one, best, "nearest")), None)
    if near is not None and near is not best:
        lines.append(
            f"The nearest tokens named {_named(near)} ({near.top1.value:.2f}{_ends(near)})."
        )
    return [*lines, *(f"Note: {note}." for note in found.notes)]


def rates_table(rates: Mapping[str, Any]) -> list[str]:
    """Every rate with its 95 % interval over texts as a Markdown table, line by line.

    Args:
        rates: a document of rates, as `--write` writes it.
    """
    whole = [one for one in rates["rates"] if one.get("share_explained") is None]
    columns = ("condition", "reading", "scorer")
    heads = [_plain(name) for name in (*columns, "prompts", *_SCORES.values(), _BETTER)]
    rows = [[*(_plain(one[name]) for name in columns), *_cells(one)] for one in whole]
    return [
        f"| {' | '.join(heads)} |",
        "|-" * len(heads) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def shares_table(rates: Mapping[str, Any]) -> list[str]:
    """Share of texts that are first by overlap, by share explained, as a Markdown table.

    Of the largest condition, with 95 % intervals over texts and the number of prompts.
    """
    scorer = next((one["scorer"] for one in rates["rates"]), None)
    parts = {
        (one["reading"], str(one["share_explained"])): one
        for one in rates["rates"]
        if one.get("share_explained") is not None
        and (one["condition"], one["scorer"]) == (rates["kinds_of"], scorer)
    }
    shares = sorted({share for _, share in parts}, key=lambda words: words.replace("below", "0"))
    rows = [
        f"| {_plain(reading)} | {' | '.join(_part(parts.get((reading, one))) for one in shares)} |"
        for reading in dict.fromkeys(name for name, _ in parts)
    ]
    return [f"| reading | {' | '.join(shares)} |", "|-" * (len(shares) + 1) + "|", *rows]


def kinds_table(rates: Mapping[str, Any]) -> list[str]:
    """Share of texts that are first by overlap, by kind of text, of the largest condition."""
    kinds: Mapping[str, Mapping[str, float]] = rates["kinds"]
    names = list(next(iter(kinds.values()), {}))
    rows = [
        f"| {_plain(reading)} | {' | '.join(_share(found.get(name)) for name in names)} |"
        for reading, found in kinds.items()
    ]
    return [f"| reading | {' | '.join(names)} |", "|-" * (len(names) + 1) + "|", *rows]


def reading_rates_markdown(found: ReadingRates) -> str:
    """All tables as one document."""
    rates = found.to_json()
    title = f"# How often readings name {found.texts} known texts on {found.model}"
    said = "\n".join(found.headline())
    tables = (rates_table(rates), shares_table(rates), kinds_table(rates))
    return "\n\n".join([title, said, *("\n".join(lines) for lines in tables if lines[2:])]) + "\n"


def _cells(rate: Mapping[str, Any]) -> list[str]:
    scores = [
        f"{rate[key]['value']:.3f} ({rate[key]['interval'][0]:.2f} to "
        f"{rate[key]['interval'][1]:.2f})"
        for key in _SCORES
    ]
    better = rate.get("better_than_controls")
    return [str(rate["prompts"]), *scores, "–" if better is None else f"{better:.2f}"]


def _part(rate: Mapping[str, Any] | None) -> str:
    if rate is None:
        return "–"
    low, high = rate["top1"]["interval"]
    return f"{rate['top1']['value']:.2f} ({low:.2f} to {high:.2f}; {rate['prompts']})"


def _plain(name: str) -> str:
    return name.replace("displacement_centred", "displacement centred")


def _named(rate: Rate) -> int:
    return round(rate.top1.value * rate.tried)


def _ends(rate: Rate) -> str:
    low, high = rate.top1.ends
    return f", {low:.2f} to {high:.2f}"


def _same(one: Rate, other: Rate, reading: str) -> bool:
    """Whether a rate is that of another reading under the same circumstances."""
    return (one.condition, one.scorer, one.share_explained, one.reading) == (
        other.condition,
        other.scorer,
        other.share_explained,
        reading,
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
