"""Batches, prompts and comparisons that several test files use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from probe.models import FrozenModel, Injection, Row, Slot, prepare
from probe.task import Example, Task
from tests.models.conftest import random_ids

LENGTHS = (3, 11, 7, 11)


def rows(
    *lengths: int, options: int = 1, label_length: int = 1, slots: tuple[Slot, ...] = (Slot(0),)
) -> list[Row]:
    """Rows of random text whose labels have `label_length` tokens."""
    labels = random_ids(*[label_length] * (options * len(lengths)), seed=1)
    return [
        Row(before, tuple(labels[i * options : (i + 1) * options]), i % options, slots=slots)
        for i, before in enumerate(random_ids(*lengths))
    ]


def generate(
    model: FrozenModel,
    injection: Injection | None,
    texts: Sequence[str],
    which: Tensor | None = None,
    max_new_tokens: int = 32,
) -> list[str]:
    """Continuations of texts, cut where they would leave no room."""
    rows = prepare(
        model,
        Task("generate", "generation"),
        [Example(text) for text in texts],
        prompt_length=0 if injection is None else injection.longest,
        new_tokens=max_new_tokens,
    )
    return model.generate_rows(injection, rows, which, max_new_tokens)


def prompts(model: FrozenModel, count: int, length: int, seed: int = 0) -> Tensor:
    """[K, P, H], as large as the model's own embeddings."""
    torch.manual_seed(seed)
    return (torch.randn(count, length, model.width) * 0.3).requires_grad_()


def prefixes(model: FrozenModel, count: int, length: int) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of every layer, each [K, heads, P, head_dim]."""
    assert model.kv_shape is not None
    layers, heads, width = model.kv_shape
    torch.manual_seed(0)
    shape = (count, heads, length, width)
    return [
        (torch.randn(shape).requires_grad_(), torch.randn(shape).requires_grad_())
        for _ in range(layers)
    ]


def run(
    model: FrozenModel,
    injection: Injection,
    batch: list[Row],
    leaves: list[Tensor],
    which: list[int] | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Losses [B] and the gradients of a weighted sum of them."""
    index = None if which is None else torch.tensor(which)
    losses = model.losses(injection, batch, index)
    weights = torch.linspace(0.5, 1.5, len(batch))
    return losses.detach(), list(torch.autograd.grad((losses * weights).sum(), leaves))


def relative(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what was expected."""
    assert expected.norm() > 1e-4, "nothing to compare"
    return float((found - expected).norm() / expected.norm())


def assert_same(
    found: tuple[Tensor, list[Tensor]],
    expected: tuple[Tensor, list[Tensor]],
    *,
    loss: float = 1e-6,
    gradient: float = 1e-5,
) -> None:
    """Losses within an absolute and relative tolerance, gradients within a relative one."""
    torch.testing.assert_close(found[0], expected[0], atol=loss, rtol=loss)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        assert relative(ours, theirs) < gradient
