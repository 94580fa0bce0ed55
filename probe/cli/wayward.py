"""`probe wayward`, printed: what holding prompts near to texts costs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.analysis.gains import relative_change
from probe.cli.output import cell, say, table
from probe.texts import counted, init_words

if TYPE_CHECKING:
    from rich.table import Table

    from probe.analysis.waywardness import Choice, Waywardness
    from probe.bootstrap import Estimate
    from probe.store import JobConfig
    from probe.verbs.studies import StudyResult


def wayward_facts(config: JobConfig) -> dict[str, str]:
    """What a study holds prompts near to."""
    from probe.studies.wayward import points, study_of

    study, _ = study_of(config.request)
    targets = {point.target: len(point.ids) for point in points(study)}
    lengths = sorted(targets.values())
    return {
        "models": ", ".join(study.models),
        "tasks": ", ".join(study.tasks),
        "targets": f"{len(targets)} of {lengths[0]} to {lengths[-1]} tokens",
        "γ": ", ".join(f"{gamma:g}" for gamma in study.gammas),
        "starts": ", ".join(study.inits),
        "seeds": f"{study.seeds}",
    }


_EXAMPLES = 6
_LONGEST = 105
_MEASURES = ("no prompt", "γ = 0", "wayward", "accuracy change", "Prompt F1", "F1 at γ = 0")
_SPARE = ("F1 at γ = 0", "wayward", "said", "no prompt")
"""Columns that a narrow terminal does without: the answer above has their numbers."""

_LEGEND = (
    "said: targets that some γ brings to F1 > 0.98. wayward: test accuracy at the γ > 0 that is "
    "most accurate on validation data, of those with F1 > 0.98 if there are any. No prompt: "
    "accuracy of the model alone. Accuracy change: in percent of that at γ = 0. F1 at γ = 0: what "
    "is said of the target without the constraint.",
    "",
)


def print_waywardness(result: StudyResult) -> None:
    """The answer, the main table, and examples."""
    found = result.found
    seeds = min((row.seeds for row in found.table), default=0)
    intervals = " · 95 % intervals over targets and seeds" if found.has_intervals else ""
    say(
        *found.headline(),
        f"{counted(len(found.runs), 'run')} · means over targets of "
        f"{counted(seeds, 'seed')} each{intervals}",
        _grid(found),
        *_LEGEND,
    )
    for choice in _examples(found):
        say(*_example(choice))


def _grid(found: Waywardness) -> Table:
    models = len({row.model for row in found.table}) > 1
    kinds = len({row.kind for row in found.table}) > 1
    lead = ["model"] * models + ["task", "start"] + ["targets"] * kinds + ["said"]
    grid = table(*lead, *_MEASURES, right=("said", *_MEASURES), spare=_SPARE)
    for row in found.table:
        cells = [row.model] * models + [row.task, init_words(row.init)] + [row.kind] * kinds
        cells += [f"{row.saying_target}/{row.targets}"]
        alone = row.zero_shot_accuracy
        accuracies = (row.baseline_accuracy, row.wayward_accuracy)
        change = ("–", "") if row.delta is None else _change(row.delta)
        pairs = [("–" if alone is None else f"{alone:.3f}", ""), *map(_number, accuracies), change]
        values, ends = zip(*pairs, _number(row.f1), _number(row.f1_at_zero), strict=True)
        grid.add_row(*map(cell, (*cells, *values)))
        if any(ends):  # below, or the table gets too wide
            grid.add_row(*[""] * len(cells), *(cell(one, "dim") for one in ends))
    return grid


def _number(one: Estimate) -> tuple[str, str]:
    """A mean and its interval, if it has one."""
    ends = "[{:.2f}, {:.2f}]".format(*one.interval) if one.interval else ""
    return f"{one.value:.3f}", ends


def _change(drop: Estimate) -> tuple[str, str]:
    """A share of the accuracy that is lost as its change, and the interval of that."""
    value, _, ends = relative_change(drop.value, drop.interval).partition(" [")
    return value, f"[{ends}" if ends else ""


def _examples(found: Waywardness) -> list[Choice]:
    """Choices of different tasks and starts first."""
    groups: dict[tuple[str, str, str], list[Choice]] = {}
    for choice in found.choices:
        groups.setdefault((choice.model, choice.task, choice.init), []).append(choice)
    rounds = max(map(len, groups.values()), default=0)
    turns = (own[turn] for turn in range(rounds) for own in groups.values() if turn < len(own))
    return list(turns)[:_EXAMPLES]


def _example(choice: Choice) -> tuple[str, ...]:
    return (
        f"{choice.task}, from {init_words(choice.init)}, γ = {choice.gamma:g}, F1 {choice.f1:.2f}, "
        f"accuracy {choice.wayward_accuracy:.3f} for {choice.baseline_accuracy:.3f}",
        f"  target   {_cut(choice.target)}",
        f"  decoded  {_cut(choice.decoded)}",
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
