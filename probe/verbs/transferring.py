"""Every prompt on every task, and whether similarity between prompts tells how they transfer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
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
from probe.requests import TransferRequest, takes
from probe.store import Workspace
from probe.task import Example, Task
from probe.texts import did_you_mean
from probe.verbs.checks import check_models
from probe.verbs.comparing import compare
from probe.verbs.evaluating import some_examples
from probe.verbs.held_out import as_trained
from probe.verbs.prompts import LoadedPrompt, by_model, by_opened_model, load_prompts

if TYPE_CHECKING:
    from probe.models import FrozenModel


@takes(TransferRequest)
def transfer(asked: TransferRequest) -> Transfer:
    """Score every prompt on every task, and correlate the scores with similarity.

    Each task is asked in its own words, except of prompts that were trained on it, which are asked
    in theirs; gains are over the model alone in the same words.

    Raises:
        DataError: a task or its examples cannot be read, or two tasks have one name.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: a prompt cannot be read or does not fit.
        ValueError: an unknown measure.
    """
    measures = _measures(asked.measure)
    workspace = Workspace(asked.workspace)
    found = load_prompts(asked.prompts, model=asked.model, workspace=workspace)
    check_models(by_model(found), device=asked.device, workspace=workspace)
    cells: dict[tuple[str, str], TransferCell] = {}
    with collected() as notes:
        tasks = _tasks(asked, found)
        for opened, group in by_opened_model(asked, found):
            for task, examples in tasks.values():
                for cell in _cells(opened, group, task, examples, asked.seed):
                    cells[cell.prompt, cell.task] = cell
    matrix = Transfer(
        prompts=tuple(loaded.name for loaded in found),
        trained_on=tuple(loaded.one.task for loaded in found),
        tasks=tuple(TransferTask(t.name, t.metric, len(rows)) for t, rows in tasks.values()),
        split=asked.split,
        seed=asked.seed,
        cells=tuple(cells[loaded.name, name] for loaded in found for name in tasks),
        notes=tuple(notes),
    )
    return _correlated(matrix, found, measures, asked)


def _measures(named: Sequence[str]) -> list[Measure]:
    """The measures named, or all."""
    for wrong in set(named) - set(MEASURES):
        raise ValueError(
            f"unknown measure {wrong!r}: choose from {', '.join(MEASURES)}"
            f"{did_you_mean(wrong, MEASURES)}"
        )
    return [measure for measure in MEASURES if not named or measure in named]


def _tasks(
    asked: TransferRequest, prompts: Sequence[LoadedPrompt]
) -> dict[str, tuple[Task, Sequence[Example]]]:
    """Tasks by name, with the examples that are asked."""
    found: dict[str, tuple[Task, Sequence[Example]]] = {}
    for one in asked.task:
        task = as_trained(one, asked.data_dir, asked.split, prompts)
        if task.name in found:
            raise DataError(f"two tasks have the name {task.name}: name each task once")
        found[task.name] = (task, some_examples(task, asked.split, asked.limit))
    return found


def _cells(
    model: FrozenModel,
    group: Sequence[LoadedPrompt],
    task: Task,
    examples: Sequence[Example],
    seed: int,
) -> list[TransferCell]:
    """One task's column for the prompts of one model."""
    from probe.evaluation import answer, compare, zero_shot

    conditions = [loaded.condition(loaded.worded(task, None, ())) for loaded in group]
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
    found: Sequence[LoadedPrompt],
    measures: Sequence[Measure],
    asked: TransferRequest,
) -> Transfer:
    """The matrix with what each measure of similarity tells of it, untrained prompts left out."""
    names = [task.name for task in matrix.tasks]
    trained = [number for number, loaded in enumerate(found) if loaded.one.trained]
    own = [names.index(task) if task in names else None for task in matrix.trained_on]
    own = [own[number] for number in trained]
    if len(own) <= LEAST or own.count(None) == len(own):
        return matrix
    correlations: list[RankCorrelation] = []
    refused: list[tuple[str, str]] = []
    for measure in measures:
        try:
            rows = asked.centre and MEASURES[measure].of_rows is not None
            prompts = tuple(found[number].one for number in trained)
            close = compare(
                prompts,
                measure,
                centre=rows,
                model=asked.model,
                workspace=asked.workspace,
            )
        except ProbeError as error:
            refused.append((measure, str(error)))
            continue
        sign, scores = 1 if close.higher_is_closer else -1, matrix.scores[trained]
        correlations += [
            rank_correlation(
                measure, sign * close.matrix, scores, own, same_task=same, seed=matrix.seed
            )
            for same in (False, True)
        ]
    return dataclasses.replace(
        matrix, centre=asked.centre, correlations=tuple(correlations), refused=tuple(refused)
    )
