"""Sweeps in sentences: the answer to their question, or their best settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.grids import Answer, GridResult


def sweep_headline(found: GridResult) -> list[str]:
    """The answers to the grid's question, or the best setting of each task."""
    if found.answers:
        return [_answer(one) for one in found.answers]
    best = {
        task: max(
            (one for one in found.settings if one.task == task),
            key=lambda one: one.validation_score,
        )
        for task in dict.fromkeys(one.task for one in found.settings)
    }
    return [
        f"On {task}, {one.method.replace('_', ' ')} of {counted(one.length, 'token')} on "
        f"{one.model} has the best validation score of {counted(len(found.settings), 'setting')}; "
        f"test {one.metric.replace('_', ' ')} {one.test_score:.3f}."
        for task, one in best.items()
    ]


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
