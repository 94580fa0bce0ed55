"""How good a prompt is so far, on examples it is not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from probe.metrics import accuracy, macro_f1
from probe.models import FrozenModel, Injection, Row
from probe.task import Task

_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Validation:
    """One prompt's score on the validation examples."""

    metric: str
    """accuracy, macro_f1, or loss_nats for generation tasks, whose texts would take long."""
    value: float
    loss_nats: float
    """Mean over examples of the negative log-likelihood per token of the label or target; of texts
    that are distilled, of the divergence per token from the teacher."""
    examples: int

    @property
    def rank(self) -> tuple[float, float]:
        """Orders validations, the better the higher; equal metrics are ordered by the loss."""
        if not math.isfinite(self.loss_nats):
            return (-math.inf, -math.inf)
        return (0.0 if self.metric == "loss_nats" else self.value, -self.loss_nats)


@torch.no_grad()
def validate(
    model: FrozenModel, injection: Injection, rows: Sequence[Row], task: Task
) -> Validation:
    """Score one prompt, alone in its injection, on validation examples by the task's metric."""
    by_length = sorted(rows, key=len)
    chunks = [by_length[i : i + _ROWS_AT_ONCE] for i in range(0, len(rows), _ROWS_AT_ONCE)]
    if task.kind == "generation":
        losses = [model.losses(injection, chunk, _first(chunk)) for chunk in chunks]
        loss = float(torch.cat(losses).double().mean())
        return Validation("loss_nats", loss, loss, len(rows))
    scores = [model.label_scores(injection, chunk, _first(chunk)) for chunk in chunks]
    tokens = torch.tensor([model.label_tokens(row) for row in by_length])
    return _classified(torch.cat(scores).double().cpu(), tokens, by_length, task)


def _classified(scores: Tensor, tokens: Tensor, rows: Sequence[Row], task: Task) -> Validation:
    """Compare the best of scores [n, labels] in nats with the right labels of tokens [n]."""
    right = torch.tensor([row.label for row in rows])
    loss = -(scores.gather(1, right[:, None])[:, 0] / tokens).mean()
    metric = "macro_f1" if task.metric == "macro_f1" else "accuracy"
    measure = macro_f1 if metric == "macro_f1" else accuracy
    value = measure(scores.argmax(1).numpy(), right.numpy())
    return Validation(metric, value, float(loss), len(rows))


def _first(rows: Sequence[Row]) -> Tensor:
    """Every row reads the first prompt of the injection."""
    return torch.zeros(len(rows), dtype=torch.long)
