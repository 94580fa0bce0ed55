"""`probe bench`: how often readings are right, counted on prompts of known meaning."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from probe.cli.options import usage_errors
from probe.cli.output import cell, command_line, console, table, visible
from probe.cli.plans import print_plan
from probe.cli.requests import App, takes_requests
from probe.cli.study_progress import Output, run_and_print
from probe.requests import BenchReadingsRequest

if TYPE_CHECKING:
    from probe.analysis.reading_rates import Rate, ReadingRates
    from probe.store import JobConfig
    from probe.verbs import StudyResult

app = App(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _bench() -> None:
    """Measure how far what probe says can be trusted on a model."""


@app.command()
@takes_requests
def readings(asked: BenchReadingsRequest, output: Output) -> None:
    """Count how often each reading finds the text that a prompt was distilled from.

    Ctrl-C keeps what is finished; the same command goes on.
    """
    from probe import verbs

    with usage_errors():
        config = replace(verbs.bench_readings_config(asked), command=command_line())
    if output.dry_run:
        plan = verbs.dry_run(config, at_once=asked.at_once)
        print_plan(plan, _facts(config), json=output.json)
    else:
        run_and_print(partial(verbs.bench_run, asked, config), _print, output)


def _facts(config: JobConfig) -> dict[str, str]:
    from probe.studies.known import Condition

    asked = config.request
    return {
        "model": asked["model"],
        "texts": str(len(asked["texts"])),
        "conditions": ", ".join(Condition(**one).name for one in asked["conditions"]),
        "seeds": f"{asked['seeds']}",
        "readings": ", ".join(asked["readings"]),
    }


def _print(result: StudyResult) -> None:
    found, out = result.found, console()
    for line in found.headline():
        out.print(visible(line), soft_wrap=True)
    out.print(_rates(found))
    out.print("95 % intervals are over texts; ties count as their expected rank", soft_wrap=True)
    out.print(f"\nrates, prompts and figures: {visible(str(result.folder))}", soft_wrap=True)


def _rates(found: ReadingRates) -> object:
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
