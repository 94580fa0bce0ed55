"""Rewind and retrain rows that were pruned.

Ma et al. 2022, *XPrompt: Exploring the Extreme of Prompt Tuning* (EMNLP), §3: rows of little
importance are pruned, and those that stay are set back to where training began and trained again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from probe.errors import ProbeError, TrainingError
from probe.models import FrozenModel
from probe.notes import note
from probe.prompt import SoftPrompt
from probe.requests.train_config import TrainConfig
from probe.requests.train_methods import METHODS
from probe.requests.training import with_recommended
from probe.task import Task
from probe.template import without_slots
from probe.training.initialise import Start, embedded, rows_of, start_of
from probe.training.loop import Training, train
from probe.training.methods.base import build_module

PRUNED = "pruned"
"""Key of `config`: which prompt's rows a pruned one kept, and how they were chosen."""

Rewound = Literal["tokens", "training", "present"]
"""Where rows are retrained from: the tokens they started as, what the recorded training starts
from, or where they are, as nothing tells their start."""


class Beginning(NamedTuple):
    """Where the rows [P, H] of a prompt began."""

    rows: Tensor
    token_ids: tuple[int, ...] | None
    rewound: Rewound

    def start(self, kept: Sequence[int]) -> Start:
        """The start of some of them."""
        ids = None if self.token_ids is None else tuple(self.token_ids[row] for row in kept)
        return Start(self.rows[list(kept)].clone(), None, ids)


def beginning_of(model: FrozenModel, task: Task, prompt: SoftPrompt) -> Beginning:
    """Where a prompt's training began: as its file tells, else its rows as they are, noted."""
    ids, shape = prompt.init_token_ids, prompt.embeddings.shape
    if ids is not None and max(ids) < model.vocabulary_size:
        return Beginning(embedded(model, ids), ids, "tokens")
    rows = None if PRUNED in prompt.config else _recorded_start(model, task, prompt)
    if rows is not None and tuple(rows.shape) == shape:
        return Beginning(rows, None, "training")
    note(
        f"{prompt.name}: its file does not tell where its rows started, so they are retrained from "
        "their present values"
    )
    return Beginning(torch.tensor(prompt.embeddings), None, "present")


@torch.no_grad()
def _recorded_start(model: FrozenModel, task: Task, prompt: SoftPrompt) -> Tensor | None:
    """What the recorded training injects before its first update."""
    config = _recorded(prompt)
    if config is None:
        return None
    try:
        found: Tensor = build_module(model, config, start_of(model, task, config))()
    except ProbeError:  # such as a prompt to start from that is not there any more
        return None
    return found.float().cpu() if found.ndim == 2 else None


def _recorded(prompt: SoftPrompt) -> TrainConfig | None:
    training = prompt.config.get("training")
    try:
        return TrainConfig.from_dict(training) if isinstance(training, dict) else None
    except TrainingError:
        return None


def retraining_of(
    model: str, prompt: SoftPrompt, steps: int | None, learning_rate: float | None
) -> TrainConfig:
    """How pruned rows are retrained: as the prompt was trained, else as recommended for the model.

    Rows that an encoder or a mixture made are trained themselves. A distance to a target text and
    a teacher belong to the whole prompt, and are left out.

    Args:
        model: as the user names it.
        prompt: the unpruned one.
        steps: in place of its own.
        learning_rate: likewise.
    """
    usual = TrainConfig.from_dict(with_recommended(model, {}))
    own = _recorded(prompt) or usual
    themselves = METHODS[own.method].keeps_rows
    rate = own.learning_rate if themselves else usual.learning_rate
    return dataclasses.replace(
        own,
        method=own.method if themselves else usual.method,
        objective="full" if own.objective == "distill" else own.objective,
        teacher=None,
        patience=own.patience if own.eval_every else None,
        gamma=0.0,
        target=None,
        template=None,
        length=None,
        steps=own.steps if steps is None else steps,
        learning_rate=rate if learning_rate is None else learning_rate,
    )


def retraining(
    model: FrozenModel, tasks: Sequence[Task], config: TrainConfig, starts: Sequence[Start]
) -> Training:
    """Prepare K prunings of one prompt, rows [P, H] each, for training in one pass.

    Raises:
        TrainingError: the task teaches nothing.
    """
    configs = [
        _of_length(config, task.template, start) for task, start in zip(tasks, starts, strict=True)
    ]
    return train(model, tasks, configs, starts=starts)


def _of_length(config: TrainConfig, template: str, start: Start) -> TrainConfig:
    placed = template if without_slots(template) != template else None
    return dataclasses.replace(config, length=len(rows_of(start)), template=placed)
