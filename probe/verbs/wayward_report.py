"""A waywardness study in words and as a page to take along, and its prompts for the library."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probe import formats
from probe.errors import WorkspaceError
from probe.prompt import AnyPrompt
from probe.store import StudyFolder, Workspace
from probe.store.card import workspace_name

if TYPE_CHECKING:
    from probe.analysis.waywardness import Estimate, TableRow, Waywardness, WaywardRun

AT_TARGET = "target"
TAG = "wayward"


def wayward_found(study: StudyFolder) -> Waywardness:
    """What the finished runs of a study come to; it may still be at work.

    Raises:
        WorkspaceError: its results cannot be read.
    """
    import pandas as pd

    from probe.analysis.waywardness import WaywardRun, waywardness

    if not study.results.is_file():
        return waywardness([])
    try:
        rows = pd.read_parquet(study.results).to_dict("records")
        return waywardness([WaywardRun(**{str(k): v for k, v in row.items()}) for row in rows])
    except (OSError, ValueError, TypeError) as error:
        raise WorkspaceError(
            f"{study.results} cannot be read ({str(error)[:120]}): delete it and resume the study"
        ) from error


def wayward_headline(found: Waywardness) -> list[str]:
    """What the study found, in one sentence for each start, those away from the target first."""
    whole = [row for row in found.table if row.kind == "all"]
    starts = sorted({row.init for row in whole}, key=lambda init: (init == AT_TARGET, init))
    return [_sentence([row for row in whole if row.init == start]) for start in starts]


def wayward_html(found: Waywardness, *, name: str) -> str:
    """Answer, main table and figures as one page that opens anywhere."""
    from probe.analysis.waywardness import LEVEL, RESAMPLES
    from probe.charts import figures_html, waywardness_figures

    made = (
        f"{' '.join(wayward_headline(found))} {len(found.runs)} runs; intervals hold "
        f"{100 * LEVEL:.0f} % of {RESAMPLES:,} resamples of targets and seeds, seed {found.seed}."
    )
    return figures_html(
        f"Waywardness: {name}", waywardness_figures(found), made=made, table=found.to_frame()
    )


def keep_wayward(study: StudyFolder, run: WaywardRun, *, workspace: Workspace) -> str:
    """Put the prompt of a run into the library, once however often it is asked for.

    Returns:
        Its name there, `name@version`.

    Raises:
        PromptFormatError: its file is damaged.
        WorkspaceError: the workspace cannot be written.
    """
    (prompt,) = formats.load(study.prompts / Path(run.prompt).name)
    for id_, stored in workspace.prompts.loaded(workspace_name(prompt.name)):
        if _key(stored) == _key(prompt):
            return id_
    held = f"held near “{run.target}” at γ = {run.gamma:g}" if run.gamma else "γ = 0, the baseline"
    note = f"{held}; started at {run.init}, seed {run.seed}; study {study.id}"
    own = dataclasses.replace(prompt, config={**prompt.config, "study": study.id})
    return workspace.save(own, tags=[TAG], note=note).id


def _key(prompt: AnyPrompt) -> object:
    return prompt.config.get("run_key")


def _sentence(rows: Sequence[TableRow]) -> str:
    """What rows of one start say together; one row is said with its intervals."""
    if len(rows) > 1:
        return _sentence_of_several(rows)
    (row,) = rows
    if row.delta is None:
        return f"On {row.task}, started at {_start(row)}, the baseline was never right."
    cost = "gains" if row.delta.value < 0 else "loses"
    return (
        f"On {row.task}, started at {_start(row)}, a prompt held near a text {cost} "
        f"{_share(row.delta)} of its accuracy and its decoding matches the text with F1 "
        f"{_number(row.f1)}; at γ = 0 F1 was {_number(row.f1_at_zero)} ({_counts(rows)})."
    )


def _sentence_of_several(rows: Sequence[TableRow]) -> str:
    tasks, models = len({row.task for row in rows}), len({row.model for row in rows})
    where = f"{tasks} task{'s' * (tasks > 1)}" + f" and {models} models" * (models > 1)
    drops = [row.delta.value for row in rows if row.delta is not None]
    lost = f"{100 * min(drops):.1f} to {100 * max(drops):.1f} %" if drops else "an unknown share"
    return (
        f"Over {where}, started at {_start(rows[0])}, prompts held near a text lose {lost} of "
        f"their accuracy and their decodings match the texts with F1 "
        f"{_span([row.f1.value for row in rows])}; at γ = 0 F1 was "
        f"{_span([row.f1_at_zero.value for row in rows])} ({_counts(rows)})."
    )


def _start(row: TableRow) -> str:
    names = {"vocab": "sampled tokens", "labels": "the label words", "random": "noise"}
    return "that very text" if row.init == AT_TARGET else names.get(row.init, row.init)


def _counts(rows: Sequence[TableRow]) -> str:
    targets, seeds = sum(row.targets for row in rows), min(row.seeds for row in rows)
    per = " over all tasks" * (len(rows) > 1)
    return f"{targets} text{'s' * (targets != 1)}{per}, {seeds} seed{'s' * (seeds != 1)} each"


def _share(one: Estimate) -> str:
    sign = -1 if one.value < 0 else 1
    value = f"{100 * abs(one.value):.1f} %"
    if one.interval is None:
        return value
    low, high = sorted(100 * sign * end for end in one.interval)
    return f"{value} [{low:.1f}, {high:.1f}]"


def _number(one: Estimate) -> str:
    value = f"{one.value:.2f}"
    return value if one.interval is None else "{} [{:.2f}, {:.2f}]".format(value, *one.interval)


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"
