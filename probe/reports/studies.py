"""What a study found in sentences, and a waywardness study as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from probe.analysis.gains import relative_change
from probe.analysis.waywardness import TableRow, Waywardness
from probe.bootstrap import LEVEL, RESAMPLES, Estimate
from probe.requests.train_methods import method_words
from probe.texts import counted, init_words

if TYPE_CHECKING:
    from probe.analysis.grids import Answer, GridResult, Setting


AT_TARGET = "target"
"""The start at the text's own embeddings."""

_UNKNOWN = (
    "Whether the task is solved is not known: these prompts were trained before the accuracy "
    "without a prompt was kept."
)


def wayward_headline(found: Waywardness) -> list[str]:
    """Which tasks are not solved, then what was found, a sentence for each start.

    Starts away from the target come first.
    """
    whole = [row for row in found.table if row.kind == "all"]
    starts = sorted({row.init for row in whole}, key=lambda init: (init == AT_TARGET, init))
    by_start = [[row for row in whole if row.init == start] for start in starts]
    unsolved = [words for rows in by_start if (words := _unsolved(rows))]
    unknown = [_UNKNOWN] if any(row.solved is None for row in whole) else []
    return [*unsolved, *map(_sentence, by_start), *unknown]


def wayward_html(found: Waywardness, *, name: str) -> str:
    """Answer, main table and figures as one page that opens anywhere."""
    from probe.charts import figures_html, waywardness_figures

    made = f"{' '.join(wayward_headline(found))} {counted(len(found.runs), 'run')}"
    if found.has_intervals:
        made += (
            f"; intervals hold {100 * LEVEL:.0f} % of {RESAMPLES:,} resamples of targets and "
            f"seeds, seed {found.seed}"
        )
    made += "."
    return figures_html(
        f"Waywardness: {name}", waywardness_figures(found), made=made, table=found.to_frame()
    )


def _unsolved(rows: Sequence[TableRow]) -> str:
    """Which tasks prompts of one start do not solve; empty where they solve all."""
    open_ = [row for row in rows if row.solved is False]
    if not open_:
        return ""
    start = f"started at {init_words(rows[0].init)}"
    if len(rows) == 1:
        return (
            f"On {rows[0].task}, {start}, the task is not solved: {_beside(rows[0])}; train longer."
        )
    told = "; ".join(f"{_named(row, rows)} {_beside(row)}" for row in open_)
    return f"Not solved, {start}: {told}. Train longer."


def _named(row: TableRow, rows: Sequence[TableRow]) -> str:
    several = len({one.model for one in rows}) > 1
    return f"{row.task} on {row.model}" if several else row.task


def _beside(row: TableRow) -> str:
    """The baseline's accuracy beside what it has to pass."""
    words = f"accuracy {row.baseline_accuracy.value:.2f}"
    if row.zero_shot_accuracy is not None:
        words += f" against {row.zero_shot_accuracy:.2f} without a prompt"
    if row.majority_accuracy is not None:
        words += f" and {row.majority_accuracy:.2f} for the most frequent label"
    return words


def _sentence(rows: Sequence[TableRow]) -> str:
    """What rows of one start say together; one row is said with its intervals."""
    if len(rows) > 1:
        return _sentence_of_several(rows)
    (row,) = rows
    if row.delta is None:
        return f"On {row.task}, started at {init_words(row.init)}, the baseline was never right."
    alone = row.zero_shot_accuracy
    beside = "" if alone is None else f"; {alone:.3f} without a prompt"
    return (
        f"On {row.task}, started at {init_words(row.init)}, a prompt constrained to a text has "
        f"accuracy {row.wayward_accuracy.value:.3f} where a free one has "
        f"{row.baseline_accuracy.value:.3f} (accuracy change "
        f"{relative_change(row.delta.value, row.delta.interval)}{beside}), and its decoding "
        f"matches the text with F1 {row.f1:.2f}; at γ = 0 F1 was "
        f"{row.f1_at_zero:.2f} ({_counts(rows)})."
    )


def _sentence_of_several(rows: Sequence[TableRow]) -> str:
    tasks, models = len({row.task for row in rows}), len({row.model for row in rows})
    where = counted(tasks, "task") + f" and {models} models" * (models > 1)
    drops = [row.delta.value for row in rows if row.delta is not None]
    ends = [relative_change(drop) for drop in (max(drops), min(drops))] if drops else []
    change = f"by {' to '.join(dict.fromkeys(ends))}" if ends else "by an unknown share"
    return (
        f"Over {where}, started at {init_words(rows[0].init)}, constraining prompts to texts "
        f"changes their accuracy {change}, and their decodings match the texts with F1 "
        f"{_span([row.f1.value for row in rows])}; at γ = 0 F1 was "
        f"{_span([row.f1_at_zero.value for row in rows])} ({_counts(rows)})."
    )


def _counts(rows: Sequence[TableRow]) -> str:
    targets, seeds = sum(row.targets for row in rows), min(row.seeds for row in rows)
    per = " over all tasks" * (len(rows) > 1)
    return f"{counted(targets, 'text')}{per}, {counted(seeds, 'seed')} each"


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def sweep_headline(found: GridResult) -> list[str]:
    """The answers to the grid's question, or the best setting of each task."""
    if found.answers:
        return [_answer(one) for one in found.answers]
    by_task: dict[str, list[Setting]] = {}
    for one in found.settings:
        by_task.setdefault(one.task, []).append(one)
    return [_best(own) for own in by_task.values()]


def _best(settings: Sequence[Setting]) -> str:
    """The best of one task's settings."""
    one = max(settings, key=lambda one: one.validation_score)
    return (
        f"On {one.task}, {method_words(one.method)} of {counted(one.length, 'token')} on "
        f"{one.model} has the best validation score of {counted(len(settings), 'setting')}; "
        f"test {one.metric.replace('_', ' ')} {one.test_score:.3f}."
    )


def _answer(one: Answer) -> str:
    difference = (
        f"{Estimate(one.difference, one.interval):+.3f} over {counted(one.runs, 'run')} each"
    )
    where = f"{one.model} ({one.parameters / 1e6:,.1f} M parameters), {one.task}: "
    if one.question == "length":
        return (
            f"{where}{counted(one.length, 'token')}, the best of more than 20, score "
            f"{one.score:.3f}, 20 score {one.against:.3f}: {difference}"
        )
    enough, score = ("is enough", "it scores") if one.length == 1 else ("are enough", "they score")
    return (
        f"{where}{counted(one.length, 'token')} {enough} for 95 % of the best validation score; "
        f"{score} {one.score:.3f}, the best length {one.against:.3f}: {difference}"
    )
