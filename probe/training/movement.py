"""Whether a prompt's rows still lie nearest to the tokens they began at."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from probe.models import FrozenModel
from probe.training.nearest import NearestTokens


class Movement:
    """Remembers where rows began.

    Args:
        start: [P, H], as they are injected before the first update.
        model: whose tokens they are compared with.
    """

    def __init__(self, start: Tensor, model: FrozenModel) -> None:
        self._start, self._model = start.detach().clone(), model

    def share(self, rows: Tensor) -> float:
        """Share of positions whose nearest token, by cosine, is another than at the start."""
        return float((self._tokens.ids(rows) != self._nearest).double().mean())

    @cached_property
    def _tokens(self) -> NearestTokens:
        return NearestTokens(self._model)

    @cached_property
    def _nearest(self) -> Tensor:
        return self._tokens.ids(self._start)
