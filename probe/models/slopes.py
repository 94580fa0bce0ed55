"""How steeply the loss of every example changes along a direction of a prompt, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probe.models.frozen import FrozenModel
from probe.models.injection import Injection
from probe.models.prepare import prepare
from probe.models.rows import Objective, Row
from probe.prompt import AnyPrompt
from probe.task import Example, Task

_ROWS_AT_ONCE = 16

Slopes = Callable[[AnyPrompt, AnyPrompt], tuple[NDArray[np.float64], NDArray[np.float64]]]


def slopes_of(
    model: FrozenModel, task: Task, examples: Sequence[Example], *, objective: Objective = "full"
) -> Slopes:
    """A function from a prompt and a direction to losses [n] and parts of their slopes, [n, P].

    The loss is minus the log-likelihood of the right label. Every example reads a copy of the
    prompt of its own, so that one backward pass gives the gradient of each.
    """

    def slopes(
        prompt: AnyPrompt, direction: AnyPrompt
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows = prepare(model, task, examples, objective=objective, prompt_length=len(prompt))
        found = [
            _batch(model, prompt, direction, rows[start : start + _ROWS_AT_ONCE])
            for start in range(0, len(rows), _ROWS_AT_ONCE)
        ]
        losses, parts = zip(*found, strict=True)
        return np.concatenate(losses), np.concatenate(parts)

    return slopes


def _batch(
    model: FrozenModel, prompt: AnyPrompt, direction: AnyPrompt, rows: Sequence[Row]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    copies = model.injection_of([prompt] * len(rows))
    way = model.injection_of([direction])
    given, injection = _with_gradients(copies)
    scores = model.label_scores(injection, rows, torch.arange(len(rows)))
    labels = torch.tensor([row.label for row in rows], device=scores.device)
    losses = -scores.gather(1, labels[:, None])[:, 0]
    gradients = torch.autograd.grad(losses.sum(), given, allow_unused=True)
    parts = [
        (gradient.double() * along.double()).flatten(2).sum(2)
        if gradient.ndim == 3
        # keys and values, [B, heads, P, d]
        else (gradient.double() * along.double()).sum((1, 3))
        for gradient, along in zip(gradients, _tensors(way), strict=True)
        if gradient is not None
    ]
    return losses.detach().double().cpu().numpy(), torch.stack(parts).sum(0).cpu().numpy()


def _tensors(injection: Injection) -> list[Tensor]:
    """Rows [K, P, H] of each half, or keys and values [K, heads, P, d] of every layer."""
    if injection.key_values is not None:
        return [one for pair in injection.key_values for one in pair]
    halves = (injection.embeddings, injection.decoder_embeddings)
    return [half for half in halves if half is not None]


def _with_gradients(injection: Injection) -> tuple[list[Tensor], Injection]:
    given = [tensor.detach().requires_grad_() for tensor in _tensors(injection)]
    if injection.key_values is not None:
        pairs = list(zip(given[::2], given[1::2], strict=True))
        return given, Injection(None, injection.lengths, pairs)
    if injection.embeddings is None:
        return given, Injection(None, injection.lengths, None, given[0], injection.decoder_lengths)
    return given, Injection(given[0], injection.lengths)
