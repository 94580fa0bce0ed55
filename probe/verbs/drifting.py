"""Follow the prompt of a run from its start through its training."""

from __future__ import annotations

import re
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from probe.analysis import starts as analysis
from probe.analysis.neighbours import DEFAULT_METRIC, Metric
from probe.analysis.starts import Drift
from probe.errors import ProbeError, TrainingError
from probe.jobs.trajectory import kept_trajectory
from probe.prompt import AnyPrompt, SoftPrompt
from probe.store import JobFolder, Library, Workspace
from probe.store.card import workspace_name
from probe.tables import load_vocabulary
from probe.vocabulary import Vocabulary

Start = NDArray[np.float32] | None
_FOLD = re.compile(r"-fold(\d+)(?:@\d+)?$", re.ASCII)
"""Ends the name of a fold's prompt, in the workspace before its version."""


def drift(
    run: str,
    number: int = 0,
    *,
    metric: Metric = DEFAULT_METRIC,
    workspace: str | PathLike[str] | None = None,
) -> Drift:
    """How far the prompt of a run moved, and which of its nearest tokens changed.

    A run keeps its rows at its start and about 25 times after. Of one that did not, such as those
    of older versions, the last two checkpoints are followed: where it has finished and its prompt
    started from tokens, the start stands before them as step 0; else distances count from the first
    one that is kept, whose step says so.

    Args:
        run: its name, or the beginning of it.
        number: which of the prompts it trains at once.
        metric: what near means.
        workspace: its folder, or itself; the default one when None.

    Raises:
        WorkspaceError: there is no such run.
        TrainingError: it has kept no rows that can be followed.
        ModelNotFoundError: its model's vocabulary cannot be read.
    """
    from probe.training.checkpoint import checkpoint_rows

    workspace = Workspace(workspace)
    folder = workspace.runs.get(run)
    if kept := kept_trajectory(folder, number):
        steps, rows = [*kept], np.stack([prompt.embeddings for prompt in kept.values()])
    else:
        steps, rows = checkpoint_rows(folder.path, number)
    vocabulary = load_vocabulary(str(folder.config.request["model"]))
    start = _start(workspace, folder, vocabulary) if steps[0] > 0 else None
    if start is not None and start.shape == rows.shape[1:]:
        steps, rows = [0, *steps], np.concatenate([start[None], rows])
    return analysis.drift(rows, steps, name=folder.id, vocabulary=vocabulary, metric=metric)


def trajectory(
    run: str, number: int = 0, *, workspace: str | PathLike[str] | None = None
) -> list[SoftPrompt]:
    """The prompt of a run as it was at its start and about 25 times after, the earliest first.

    Each is a prompt as any other, whose `metrics` say its `step`: decode one, evaluate one, or lay
    all of them on a map.

    Args:
        run: its name, or the beginning of it.
        number: which of the prompts it trains at once.
        workspace: its folder, or itself; the default one when None.

    Raises:
        WorkspaceError: there is no such run.
        TrainingError: it kept no rows.
    """
    folder = Workspace(workspace).runs.get(run)
    if kept := kept_trajectory(folder, number):
        return list(kept.values())
    raise TrainingError(
        f"{folder.id} kept no rows of this prompt on its way: expected a run of this version "
        "that trains rows, not a prefix, in a worker of ours; train it again to see them"
    )


def number_in_run(prompt: AnyPrompt) -> int:
    """Which of the prompts that its run trained at once a kept prompt is, from 0."""
    fold = _FOLD.search(prompt.name) if prompt.config.get("folds") else None
    return int(fold[1]) - 1 if fold else 0


def _start(workspace: Workspace, run: JobFolder, vocabulary: Vocabulary) -> Start:
    """The rows a finished run's prompt started from, [P, H], if they are known.

    They are another prompt's, or embeddings of tokens. A run that trains several prompts at once
    names them otherwise, and then nothing is found.
    """
    kind, _, source = str(run.config.request["training"].get("init")).partition(":")
    if kind == "prompt":
        return _rows_of(source, workspace)
    for _, prompt in workspace.prompts.loaded(workspace_name(run.config.name)):
        if isinstance(prompt, SoftPrompt) and prompt.config.get("run") == run.id:
            ids = prompt.init_token_ids
            return None if ids is None else vocabulary.rows(list(ids))
    return None


def _rows_of(source: str, workspace: Workspace) -> Start:
    """The rows of a prompt, [P, H]; None where it is gone, or has none."""
    try:
        prompt = Library(workspace).load_one(source)
    except ProbeError:
        return None
    return prompt.embeddings if isinstance(prompt, SoftPrompt) else None
