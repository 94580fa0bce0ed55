"""Which of a model's tokens is nearest to a row, by cosine, and at how many rows that changed.

What the model feeds on is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from probe.models import FrozenModel

_ROWS_AT_ONCE = 16_384
"""Embeddings compared at once: a table in half precision is never copied whole."""


class NearestTokens:
    """The tokens of a model, to be searched again and again.

    Args:
        model: whose embeddings are searched.
        left_out: [V], tokens that are never found; none where None.
    """

    def __init__(self, model: FrozenModel, left_out: Tensor | None = None) -> None:
        self._model, self._left_out = model, left_out
        self._norms = torch.cat(
            [torch.linalg.vector_norm(chunk, dim=1) for _, chunk in self._chunks()]
        ).clamp_min(1e-12)

    @torch.no_grad()
    def ids(self, rows: Tensor) -> Tensor:
        """Ids of the tokens nearest to rows [P, H], [P]; of equals the lowest."""
        rows = rows.detach().to(self._norms.device).float()
        best = torch.full((len(rows),), -torch.inf, device=rows.device)
        ids = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        for part, chunk in self._chunks():
            cosines = rows @ chunk.T / self._norms[part]
            if self._left_out is not None:
                cosines.masked_fill_(self._left_out[part], -torch.inf)
            values, places = cosines.max(dim=1)
            closer = values > best
            best = torch.where(closer, values, best)
            ids = torch.where(closer, places + part.start, ids)
        return ids

    def _chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """The embeddings [c, H] of consecutive tokens, float32."""
        for first in range(0, self._model.vocabulary_size, _ROWS_AT_ONCE):
            part = slice(first, min(first + _ROWS_AT_ONCE, self._model.vocabulary_size))
            yield part, self._model.embeddings_of(part)


class Movement:
    """Remembers where rows began.

    Args:
        start: [P, H], as they are injected before the first update.
        model: whose tokens they are compared with.
    """

    def __init__(self, start: Tensor, model: FrozenModel) -> None:
        self._start, self._model = start.detach().clone(), model

    def token_change_rate(self, rows: Tensor) -> float:
        """Share of positions whose nearest token, by cosine, is another than at the start."""
        return float((self._tokens.ids(rows) != self._nearest).double().mean())

    @cached_property
    def _tokens(self) -> NearestTokens:
        return NearestTokens(self._model)

    @cached_property
    def _nearest(self) -> Tensor:
        return self._tokens.ids(self._start)
