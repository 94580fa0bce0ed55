"""`probe sweep`, printed: the settings of a grid, and which are worth their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.output import cell, say, table
from probe.texts import counted

if TYPE_CHECKING:
    from rich.table import Table

    from probe.analysis.grids import GridResult, Setting
    from probe.store import JobConfig
    from probe.verbs.studies import StudyResult


def sweep_facts(config: JobConfig) -> dict[str, str]:
    """What a sweep varies."""
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
    """Settings, and the answers."""
    found = result.found
    runs = counted(len(found.runs), "run")
    say(f"{runs} · means over each setting's runs · 95 % intervals over them")
    if found.settings:
        say(
            _grid(found),
            f"*: no other setting on its model and task scores as well with {_COSTS[found.cost]}, "
            "or better at the same cost",
        )
    say(*found.headline())


def _grid(found: GridResult) -> Table:
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
