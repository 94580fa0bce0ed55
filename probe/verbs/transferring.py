"""Every prompt on every task, and whether similarity between prompts tells how they transfer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probe.analysis.compare import MEASURES, Measure
from probe.analysis.transfer import (
    LEAST,
    RankCorrelation,
    Transfer,
    TransferCell,
    TransferTask,
    rank_correlation,
)
from probe.errors import DataError, ProbeError
from probe.notes import collected
from probe.prompt import AnyPrompt
from probe.requests.shared import Split
from probe.store import Workspace
from probe.suggestions import did_you_mean
from probe.task import Example, Task
from probe.verbs.asking import Asker, askers, by_model, note_doubts
from probe.verbs.checks import check_models
from probe.verbs.comparing import compare
from probe.verbs.evaluating import some_examples
from probe.verbs.naming import option_names, several

if TYPE_CHECKING:
    from probe.models import FrozenModel

Asked = Mapping[str, tuple[Task, Sequence[Example]]]
"""Tasks by name, with the examples that are asked."""


@option_names(task="tasks", measure="measures")
def transfer(
    prompts: Sequence[AnyPrompt | str | Path],
    tasks: Sequence[str | Path | Task],
    *,
    model: str | Path | None = None,
    data_dir: str | Path | None = None,
    split: Split = "test",
    limit: int | None = None,
    measures: Sequence[Measure] = tuple(MEASURES),
    centre: bool = False,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> Transfer:
    """Score every prompt on every task, and correlate the scores with similarity.

    Each task is asked in its own words, except of prompts that were trained on it, which are asked
    in theirs; gains are over the model alone in the same words.

    Args:
        prompts: prompts, or anything `load` takes that holds one.
        tasks: tasks, their names, files or folders.
        model: the frozen model; each prompt's own when None.
        data_dir: a folder of data sets, by task.
        split: which examples.
        limit: at most so many of each task, always the same ones; all when None.
        measures: of similarity, see `compare`; those that are not defined for these prompts are
            left out, and why is said.
        centre: subtract the mean row of all prompts before rows are compared.
        seed: of resamples and permutations.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        DataError: a task or its examples cannot be read, or two tasks have one name.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: a prompt cannot be read or does not fit.
        ValueError: an unknown measure.
    """
    if unknown := set(measures) - set(MEASURES):
        wrong = str(unknown.pop())
        raise ValueError(
            f"unknown measure {wrong!r}: choose from {', '.join(MEASURES)}"
            f"{did_you_mean(wrong, MEASURES)}"
        )
    workspace = workspace or Workspace()
    found = askers(several(prompts), model=model, workspace=workspace)
    check_models(by_model(found), device=device, workspace=workspace)
    asked = _asked(tasks, data_dir, split, limit)
    from probe.models import load_model

    cells: dict[tuple[str, str], TransferCell] = {}
    with collected() as notes:
        for (name, revision), group in by_model(found).items():
            opened = load_model(name, revision=revision, device=device, dtype=dtype)
            note_doubts(opened, group)
            for task, examples in asked.values():
                for cell in _cells(opened, group, task, examples, seed):
                    cells[cell.prompt, cell.task] = cell
    matrix = Transfer(
        prompts=tuple(asker.name for asker in found),
        trained_on=tuple(asker.one.task for asker in found),
        tasks=tuple(TransferTask(t.name, t.metric, len(rows)) for t, rows in asked.values()),
        split=split,
        seed=seed,
        cells=tuple(cells[asker.name, name] for asker in found for name in asked),
        notes=tuple(notes),
    )
    return _correlated(matrix, found, measures, centre=centre, model=model, workspace=workspace)


def _asked(
    tasks: Sequence[str | Path | Task],
    data_dir: str | Path | None,
    split: Split,
    limit: int | None,
) -> Asked:
    from probe.datasets import load_task

    asked: dict[str, tuple[Task, Sequence[Example]]] = {}
    for one in tasks:
        task = one if isinstance(one, Task) else load_task(one, data_dir)
        if task.name in asked:
            raise DataError(f"two tasks have the name {task.name}: name each task once")
        asked[task.name] = (task, some_examples(task, split, limit))
    return asked


def _cells(
    model: FrozenModel,
    group: Sequence[Asker],
    task: Task,
    examples: Sequence[Example],
    seed: int,
) -> list[TransferCell]:
    """One task's column for the prompts of one model."""
    from probe.evaluation import answer, compare, zero_shot

    conditions = [asker.condition(asker.worded(task, None, ())) for asker in group]
    alone = [
        zero_shot(condition)
        for condition in {condition.wording: condition for condition in conditions}.values()
    ]
    answers = answer(model, [*conditions, *alone], examples)
    made, _ = compare(answers, examples, model=model.name, metric=task.metric, seed=seed)
    cells = []
    for one in made[: len(conditions)]:
        assert one.against_zero_shot is not None  # every wording was asked without a prompt too
        score, gain = one.measures[task.metric], one.against_zero_shot[task.metric]
        cells.append(
            TransferCell(one.name, task.name, score.value, score.ends, gain.value, gain.ends)
        )
    return cells


def _correlated(
    matrix: Transfer,
    found: Sequence[Asker],
    measures: Sequence[Measure],
    *,
    centre: bool,
    model: str | Path | None,
    workspace: Workspace,
) -> Transfer:
    """The matrix with what each measure of similarity tells of it."""
    names = [task.name for task in matrix.tasks]
    own = [names.index(task) if task in names else None for task in matrix.trained_on]
    if len(found) <= LEAST or own.count(None) == len(own):
        return matrix
    correlations: list[RankCorrelation] = []
    refused: list[tuple[str, str]] = []
    for measure in measures:
        try:
            rows = centre and MEASURES[measure].of_rows is not None
            prompts = [asker.one for asker in found]
            close = compare(prompts, measure, centre=rows, model=model, workspace=workspace)
        except ProbeError as error:
            refused.append((measure, str(error)))
            continue
        sign = 1 if close.higher_is_closer else -1
        correlations += [
            rank_correlation(
                measure, sign * close.matrix, matrix.scores, own, same_task=same, seed=matrix.seed
            )
            for same in (False, True)
        ]
    return dataclasses.replace(
        matrix, centre=centre, correlations=tuple(correlations), refused=tuple(refused)
    )
