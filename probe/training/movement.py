"""Whether a prompt's rows still lie nearest to the tokens they began at."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from probe.models import FrozenModel

_ROWS_AT_ONCE = 16_384
"""Rows of the embedding table compared at once: a table in half precision is never copied whole."""


class Movement:
    """Remembers where rows began.

    Args:
        start: [P, H], as they are injected before the first update.
        model: whose embedding table they are compared with.
    """

    def __init__(self, start: Tensor, model: FrozenModel) -> None:
        self._start, self._model = start.detach().clone(), model

    def share(self, rows: Tensor) -> float:
        """Share of positions whose nearest token, by cosine, is another than at the start."""
        return float((nearest_ids(self._model, rows) != self._nearest).double().mean())

    @cached_property
    def _nearest(self) -> Tensor:
        return nearest_ids(self._model, self._start)


@torch.no_grad()
def nearest_ids(model: FrozenModel, rows: Tensor) -> Tensor:
    """Ids of the tokens nearest to rows [P, H] by cosine, [P]; of equals the lowest."""
    weight = next(model.embed.parameters())
    rows = rows.detach().to(weight.device).float()
    best = torch.full((len(rows),), -torch.inf, device=weight.device)
    ids = torch.zeros(len(rows), dtype=torch.long, device=weight.device)
    for first in range(0, len(weight), _ROWS_AT_ONCE):
        chunk = weight[first : first + _ROWS_AT_ONCE].float()
        cosines = rows @ chunk.T / torch.linalg.vector_norm(chunk, dim=1).clamp_min(1e-12)
        values, places = cosines.max(dim=1)
        closer = values > best
        best = torch.where(closer, values, best)
        ids = torch.where(closer, places + first, ids)
    return ids
