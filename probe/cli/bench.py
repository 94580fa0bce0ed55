"""`probe bench`: how often readings are right, counted on prompts of known meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.output import cell, say, table
from probe.cli.requests import App

if TYPE_CHECKING:
    from rich.table import Table

    from probe.analysis.reading_rates import Rate, ReadingRates
    from probe.store import JobConfig
    from probe.verbs.studies import StudyResult

app = App(no_args_is_help=True)


@app.callback()
def _bench() -> None:
    """Measure how far what probe says can be trusted on a model."""


def rates_facts(config: JobConfig) -> dict[str, str]:
    """What is read, and under which conditions."""
    from probe.studies.known import Condition

    asked = config.request
    return {
        "model": asked["model"],
        "texts": str(len(asked["texts"])),
        "conditions": ", ".join(Condition(**one).name for one in asked["conditions"]),
        "seeds": f"{asked['seeds']}",
        "readings": ", ".join(asked["readings"]),
    }


def print_rates(result: StudyResult) -> None:
    """How often each reading is right."""
    found = result.found
    told = "95 % intervals are over texts; ties count as their expected rank"
    say(*found.headline(), _rates(found), told)


def _rates(found: ReadingRates) -> Table:
    scores = ("prompts", "first", "95 %", "first five", "reciprocal rank", "better than control")
    grid = table("condition", "reading", "scorer", *scores, right=scores, spare=scores[-1:])
    for one in found.rates:
        if one.share_explained is None:
            grid.add_row(*map(cell, _cells(one)))
    return grid


def _cells(one: Rate) -> tuple[object, ...]:
    low, high = one.top1.ends
    better = one.better_than_controls
    return (
        one.condition,
        one.reading.replace("_", " "),
        one.scorer,
        one.prompts,
        f"{one.top1.value:.3f}",
        f"[{low:.2f}, {high:.2f}]",
        f"{one.top5.value:.3f}",
        f"{one.mrr.value:.3f}",
        "–" if better is None else f"{better:.2f}",
    )
