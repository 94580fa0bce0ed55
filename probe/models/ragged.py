"""Sequences of different lengths: one behind the other, and as a padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ragged:
    """G sequences that lie one behind the other, [M, …], and as a padded batch, [G, S, …]."""

    places: Tensor | None
    """[M] of the flat G·S places; None when no sequence is shorter than S."""
    count: int
    """G"""
    longest: int
    """S"""
    total: int
    """M"""

    def rows(self, flat: Tensor) -> Tensor:
        """[M, …] as [G, S, …], zeros behind shorter sequences."""
        if self.places is not None:
            flat = spread(flat, self.places, self.count * self.longest)
        return flat.reshape(self.count, self.longest, *flat.shape[1:])

    def pad(self, flat: Tensor) -> Tensor:
        """[M, heads, d] as [G, heads, S, d]."""
        return self.rows(flat).transpose(1, 2)

    def flatten(self, padded: Tensor) -> Tensor:
        """[G, heads, S, d] as [M, heads, d]."""
        flat = padded.transpose(1, 2).flatten(0, 1)
        return flat if self.places is None else collect(flat, self.places)


def ragged(lengths: Sequence[int], device: torch.device, *, left: bool = False) -> Ragged:
    """Sequences of these lengths, one behind the other; `left` pads in front of shorter ones."""
    longest, total = max(lengths), sum(lengths)
    if min(lengths) == longest:
        return Ragged(None, len(lengths), longest, total)
    sizes = np.asarray(lengths)
    shift = np.arange(len(sizes)) * longest - (np.cumsum(sizes) - sizes)
    shift += longest - sizes if left else 0
    places = np.repeat(shift, sizes) + np.arange(total)
    return Ragged(torch.from_numpy(places).to(device), len(lengths), longest, total)


def spread(rows: Tensor, places: Tensor, size: int) -> Tensor:
    """Rows [M, …] at different places of a longer array of zeros, [size, …]."""
    spread_out: Tensor = _Spread.apply(rows, places, size)  # type: ignore[no-untyped-call]
    return spread_out


def collect(rows: Tensor, places: Tensor) -> Tensor:
    """Rows [M, …] from different places of an array [size, …]."""
    collected: Tensor = _Collect.apply(rows, places)  # type: ignore[no-untyped-call]
    return collected


class _Spread(torch.autograd.Function):
    """Places differ, so the gradient is a look-up, where torch's own would add up row by row."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        return rows.new_zeros(size, *rows.shape[1:]).index_copy_(0, places, rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.index_select(0, ctx.saved_tensors[0]), None, None


class _Collect(torch.autograd.Function):
    """The reverse of `_Spread`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.size = rows.shape[0]
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        whole = gradient.new_zeros(ctx.size, *gradient.shape[1:])
        return whole.index_copy_(0, ctx.saved_tensors[0], gradient), None
