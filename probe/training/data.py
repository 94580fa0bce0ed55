"""The rows a prompt trains on and is validated on, their order, and what their teacher expects."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probe.datasets import texts_by_label
from probe.errors import TrainingError
from probe.models import FrozenModel, Injection, Row, prepare
from probe.models.language import LanguageModel
from probe.models.rows import Teacher, right_option
from probe.requests.train_config import TrainConfig
from probe.task import Task
from probe.training.checks import check_examples, check_patience, placed, require_folds, split_of
from probe.training.initialise import resolved_length, text_ids

_POOL = 32
"""Batches whose rows are sorted by length together: enough to pad little, few enough to mix."""


@dataclass(frozen=True)
class Data:
    """One prompt's examples as the model reads them."""

    train: Sequence[Row]
    validation: Sequence[Row]
    fingerprint: str
    """sha256 of all rows: a run resumes on the same data only."""


def prepared(model: FrozenModel, pairs: Sequence[tuple[Task, TrainConfig]]) -> list[Data]:
    """The data of every prompt; prompts that read the same rows share them.

    Raises:
        TrainingError: a task has no training examples, or no validation examples for the patience.
    """
    known: dict[object, Data] = {}
    keys = []
    for task, config in pairs:
        check_patience(task, config)
        length = resolved_length(model, config)
        split = (config.eval_every > 0, config.eval_examples, config.holdout)
        keys.append((id(task), config.objective, config.teacher, config.template, length, split))
        if keys[-1] not in known:  # tokenising takes longest of all
            known[keys[-1]] = _data(model, task, config, length)
    return [known[key] for key in keys]


def _data(model: FrozenModel, task: Task, config: TrainConfig, length: int) -> Data:
    check_examples(task)
    task = placed(task, config)
    train, validation = split_of(task, config)
    teacher: tuple[int, ...] | None = None
    if config.teacher is not None:  # an empty text is the model alone, a control
        teacher = text_ids(model, config.teacher) if config.teacher else ()
    rows, validation_rows = (
        prepare(
            model,
            task,
            examples,
            objective=config.objective,
            prompt_length=max(length, len(teacher or ())),
            called=f"{split} texts",
        )
        for split, examples in (("training", train), ("validation", validation))
    )
    if teacher is not None:
        rows, validation_rows = (taught(model, part, teacher) for part in (rows, validation_rows))
    return Data(rows, validation_rows, _fingerprint([*rows, *validation_rows]))


def folds(task: Task, count: int) -> list[Task]:
    """The task `count` times, each with another part of the training examples as validation.

    Trained at once with the same configuration, they are a k-fold cross-validation. Every part has
    its share of each label, and all examples of one text are in one part.

    Raises:
        TrainingError: there are fewer than two folds, or fewer different texts than folds.
    """
    by_label = texts_by_label(task.train)
    require_folds(by_label, count)
    rng = np.random.default_rng(0)
    dealt = [texts[i] for texts in by_label for i in rng.permutation(len(texts))]
    part_of = {text: place % count for place, text in enumerate(dealt)}
    return [
        dataclasses.replace(
            task,
            name=f"{task.name}-fold{number + 1}",
            train=[one for one in task.train if part_of[one.text] != number],
            validation=[one for one in task.train if part_of[one.text] == number],
        )
        for number in range(count)
    ]


def _fingerprint(rows: Sequence[Row]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        text = (row.prefix_ids, row.suffix_ids, row.options, row.label, row.slots)
        # Runs of earlier versions, which called a slot's index its place, still resume.
        digest.update(repr(text).replace("Slot(index=", "Slot(place=").encode())
        digest.update(repr(row.classes).encode() if row.classes else b"")
    return digest.hexdigest()


class Batches:
    """An endless order over n rows, whose state is two numbers.

    Each epoch shuffles all rows, cuts them into pools of 32 batches, sorts each pool by length
    and cuts it into batches. In which order a pool's batches come depends on the epoch alone:
    prompts that train together on one task then meet short batches at the same time, whatever
    their seeds.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._size = min(batch_size, len(lengths))
        self._seed = seed
        self._epoch = 0
        self._taken = 0
        self._order = self._epoch_order()

    def next(self) -> NDArray[np.int64]:
        """Row numbers of the next batch; the rows that fill no batch are left to later epochs."""
        if self._taken == len(self._order):
            self._epoch, self._taken = self._epoch + 1, 0
            self._order = self._epoch_order()
        self._taken += 1
        batch: NDArray[np.int64] = self._order[self._taken - 1]
        return batch

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as a JSON document."""
        return {"epoch": self._epoch, "taken": self._taken}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._epoch, self._taken = state["epoch"], state["taken"]
        self._order = self._epoch_order()

    def _epoch_order(self) -> NDArray[np.int64]:
        """Row numbers, [batches, batch size]."""
        rows = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._lengths))
        whole = len(rows) // self._size * self._size
        visits = np.random.default_rng(self._epoch)
        pools = []
        for start in range(0, whole, _POOL * self._size):
            pool = rows[start : min(start + _POOL * self._size, whole)]
            by_length = pool[np.argsort(self._lengths[pool], kind="stable")]
            pools.append(visits.permutation(by_length.reshape(-1, self._size)))
        return np.concatenate(pools)


_ROWS_AT_ONCE = {"cpu": 8, "gpu": 64}
"""Their logits over the vocabulary are held in float32 at once."""


def taught(model: FrozenModel, rows: Sequence[Row], text_ids: Sequence[int]) -> list[Row]:
    """Rows with what the model expects of their targets when it reads a text.

    Prompt and text stand in the same frame, so that KL(teacher ‖ student) over the target's tokens
    is the effect of the text that the prompt lacks (Snell et al. 2022, *Learning by distilling
    context*).

    Args:
        model: teacher and student.
        rows: with a place for the prompt; each has one right option.
        text_ids: what stands in the prompt's place for the teacher; none gives the model alone.

    Raises:
        TrainingError: the model is none that can be distilled.
    """
    language = _require_language(model)
    return _with_teachers(language, rows, None, [with_text(row, text_ids) for row in rows])


def taught_by_prompt(model: FrozenModel, rows: Sequence[Row], injection: Injection) -> list[Row]:
    """Rows with what the model expects of their targets when it reads a prompt.

    Args:
        model: teacher and student.
        rows: with a place for the prompt; each has one right option.
        injection: of the one prompt.

    Raises:
        TrainingError: the model is none that can be distilled.
    """
    return _with_teachers(_require_language(model), rows, injection, rows)


def _require_language(model: FrozenModel) -> LanguageModel:
    if not isinstance(model, LanguageModel):
        raise TrainingError(
            f"{model.name} is a {model.family} model: distil a causal language model"
        )
    return model


def _with_teachers(
    model: LanguageModel, rows: Sequence[Row], injection: Injection | None, read: Sequence[Row]
) -> list[Row]:
    """Rows with what the model expects of their targets when it reads other rows instead."""
    found: list[Row] = []
    at_once = _ROWS_AT_ONCE["cpu" if model.device.type == "cpu" else "gpu"]
    for start in range(0, len(rows), at_once):
        teachers = _teachers(model, injection, read[start : start + at_once])
        found += [
            dataclasses.replace(row, teacher=teacher)
            for row, teacher in zip(rows[start : start + at_once], teachers, strict=True)
        ]
    return found


def with_text(row: Row, text_ids: Sequence[int]) -> Row:
    """The row as the model alone reads it, with a text where the prompt stands."""
    index = row.slots[0].index
    prefix_ids = (*row.prefix_ids[:index], *text_ids, *row.prefix_ids[index:])
    return dataclasses.replace(row, prefix_ids=prefix_ids, slots=(), teacher=None)


@torch.no_grad()
def _teachers(
    model: LanguageModel, injection: Injection | None, rows: Sequence[Row]
) -> list[Teacher]:
    logits, _ = model.target_logits(injection, rows)
    logs = torch.log_softmax(logits, -1)
    counts = [len(row.options[right_option(row)]) for row in rows]
    # Both sums are taken over the same rounded numbers, so that an equal student has divergence 0.
    probabilities = logs.exp().half()
    exact = probabilities.float()
    exact /= exact.sum(-1, keepdim=True)
    entropies = -torch.xlogy(exact, exact).sum(-1)
    return [
        Teacher(chosen, entropy)
        for chosen, entropy in zip(
            torch.split(probabilities, counts), torch.split(entropies, counts), strict=True
        )
    ]
