"""Full fine-tuning of small models: what training every weight reaches, as a reference."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch

from probe.errors import TrainingError
from probe.models import FrozenModel, prepare
from probe.task import Task
from probe.texts import counted

LARGEST = 500_000_000
"""Parameters of the largest model that is fine-tuned; AdamW keeps 16 bytes of each."""


@dataclass(frozen=True)
class FineTuning:
    """How a copy of a model is trained."""

    steps: int = 300
    """Updates."""
    learning_rate: float = 1e-4
    """Highest rate; it falls linearly to zero."""
    batch_size: int = 16
    """Examples per update."""
    seed: int = 0
    """Of the order of the examples."""
    clip_norm: float = 1.0
    """Longer gradients are shortened to it."""


def fine_tuned(model: FrozenModel, task: Task, settings: FineTuning | None = None) -> FrozenModel:
    """A copy of a model with every weight trained on a task, in float32; the model stays as it is.

    Dropout stays off, as it does when prompts are trained.

    Raises:
        TrainingError: the model is too large, or the task has no training examples.
    """
    settings = settings or FineTuning()
    size = sum(weight.numel() for weight in model.model.parameters())
    if size > LARGEST:
        raise TrainingError(
            f"{model.name} has {counted(size, 'parameter')}, full fine-tuning takes at most "
            f"{LARGEST:,}: compare with a smaller model"
        )
    if not task.train:
        raise TrainingError(f"task {task.name} has no training examples to fine-tune on")
    tuned = _thawed_copy(model)
    _train(tuned, task, settings)
    tuned.model.requires_grad_(False)
    return tuned


def _thawed_copy(model: FrozenModel) -> FrozenModel:
    thawed = copy.deepcopy(model)
    thawed.model.float().requires_grad_(True)
    thawed.autocast = False
    thawed.name = f"{model.name} (fine-tuned)"
    return thawed


def _train(model: FrozenModel, task: Task, settings: FineTuning) -> None:
    rows = prepare(model, task, task.train)
    rng = np.random.default_rng(settings.seed)
    optimiser = torch.optim.AdamW(model.model.parameters(), settings.learning_rate, weight_decay=0)
    order: list[int] = []
    for step in range(settings.steps):
        if len(order) < settings.batch_size:
            order += rng.permutation(len(rows)).tolist()
        batch, order = order[: settings.batch_size], order[settings.batch_size :]
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * (1 - step / settings.steps)
        loss = model.losses(None, [rows[i] for i in batch]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.model.parameters(), settings.clip_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"fine-tuning diverged at step {step + 1}: choose a lower learning rate"
            )
