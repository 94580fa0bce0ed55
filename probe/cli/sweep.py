"""`probe sweep`: a grid of training runs, from a file or by the name of a question."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from probe.cli.output import cell, command_line, console, table, visible
from probe.cli.plans import print_plan
from probe.cli.requests import takes_requests
from probe.cli.study_progress import Output, run_and_print
from probe.requests import SweepRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.grids import GridResult, Setting
    from probe.store import JobConfig
    from probe.verbs import StudyResult


@takes_requests
def sweep(asked: SweepRequest, output: Output) -> None:
    """Train every combination of a grid, and say which settings are worth their cost.

    Ctrl-C keeps what is finished; the same command goes on.
    """
    from probe import verbs

    config = replace(verbs.sweep_config(asked), command=command_line())
    if output.dry_run:
        plan = verbs.dry_run(config, at_once=asked.at_once)
        print_plan(plan, _facts(config), json=output.json)
    else:
        run = partial(verbs.study_run, config, executor=verbs.executor_of(asked))
        run_and_print(run, print_sweep, output)


def _facts(config: JobConfig) -> dict[str, str]:
    grid = config.request
    facts = {
        "models": ", ".join(grid["models"]),
        "tasks": ", ".join(grid["tasks"]),
        **{name: ", ".join(map(str, values)) for name, values in grid["grid"].items()},
        "seeds": f"{grid['seeds']}",
    }
    return facts | ({"folds": f"{grid['folds']}"} if grid["folds"] else {})


_COSTS = {
    "length": "fewer virtual tokens",
    "trained_parameters": "fewer trained numbers",
    "run_s": "less time",
}


def print_sweep(result: StudyResult) -> None:
    """Print settings, answers, and where the rest is."""
    found, out = result.found, console()
    out.print(
        f"{counted(len(found.runs), 'run')} · means over each setting's runs · 95 % intervals over "
        "them",
        soft_wrap=True,
    )
    if found.settings:
        out.print(_grid(found))
        out.print(
            f"*: no other setting on its model and task scores as well with {_COSTS[found.cost]}, "
            "or better at the same cost",
            soft_wrap=True,
        )
    for line in found.headline():
        out.print(visible(line), soft_wrap=True)
    out.print(f"\nresults, prompts and figures: {visible(str(result.folder))}", soft_wrap=True)


def _grid(found: GridResult) -> object:
    several = _varying(found)
    metric = found.settings[0].metric.replace("_", " ")
    scores = ("runs", "validation", f"test {metric}", "95 %", "seconds", "")
    grid = table(*several, *scores, right=("length", "learning rate", *scores))
    for one in sorted(found.settings, key=lambda one: (one.task, one.parameters, one.length)):
        low, high = one.interval or (None, None)
        grid.add_row(
            *(cell(_shown(_value(one, name))) for name in several.values()),
            cell(one.runs),
            cell(f"{one.validation_score:.3f}"),
            cell(f"{one.test_score:.3f}"),
            cell("–" if low is None else f"[{low:.3f}, {high:.3f}]"),
            cell(f"{one.run_s:.1f}"),
            cell("*" if one.worth else ""),
        )
    return grid


def _varying(found: GridResult) -> dict[str, str]:
    """Columns by their heading: task and length always, the others where they differ."""
    names = ["model", "task", "method", "length", "init", "learning_rate"]
    names += list(dict.fromkeys(key for one in found.settings for key in one.varied))
    always = ("task", "length")
    return {
        name.replace("_", " "): name
        for name in names
        if name in always or len({str(_value(one, name)) for one in found.settings}) > 1
    }


def _value(one: Setting, name: str) -> object:
    return one.varied[name] if name in one.varied else getattr(one, name)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
