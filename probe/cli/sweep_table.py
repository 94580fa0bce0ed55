"""A grid of runs as people read it: one row per setting, then the answer to its question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.output import cell, console, table, visible
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.grids import Answer, GridResult, Setting
    from probe.verbs import StudyResult

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
            "or better with as much",
            soft_wrap=True,
        )
    for answer in found.answers:
        out.print(visible(_answer(answer)), soft_wrap=True)
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


def _answer(one: Answer) -> str:
    low, high = one.interval or (None, None)
    ends = "" if low is None else f" [{low:+.3f}, {high:+.3f}]"
    each = f"{counted(one.runs, 'run')} each"
    where = f"{one.model} ({one.parameters / 1e6:,.1f} M parameters), {one.task}: "
    if one.question == "length":
        return (
            f"{where}{counted(one.length, 'token')}, the best of more than 20, score "
            f"{one.score:.3f}, 20 score {one.against:.3f}: {one.difference:+.3f}{ends} over "
            f"{each}"
        )
    enough, score = ("is enough", "it scores") if one.length == 1 else ("are enough", "they score")
    return (
        f"{where}{counted(one.length, 'token')} {enough} for 95 % of the best validation score; "
        f"{score} {one.score:.3f}, the best length {one.against:.3f}: "
        f"{one.difference:+.3f}{ends} over {each}"
    )
