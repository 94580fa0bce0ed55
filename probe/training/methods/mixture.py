"""Mixtures: every row a weighted mean of tokens' embeddings that narrows to few of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from probe.models import FrozenModel
from probe.requests.train_config import TrainConfig
from probe.training.initialise import Start, ordinary_tokens, rows_of
from probe.training.methods.base import PromptModule
from probe.training.nearest import NearestTokens

_FIRST, _LAST = 1.0, 0.1
"""Temperature of the softmax at the first and the last update; it falls geometrically."""
_START_WEIGHT = 0.5
"""Of the token that a row starts at: with more, the gradient to the others would vanish."""


def build(model: FrozenModel, config: TrainConfig, start: Start) -> PromptModule:  # noqa: ARG001
    """A mixture around the tokens of a start; of other rows, around those nearest to them."""
    given = start.token_ids or NearestTokens(model).ids(rows_of(start)).tolist()
    return Mixture(model, given)


class Mixture(PromptModule):
    """Rows softmax(logits / temperature) · E over the ordinary tokens of a table E [V, H].

    The logits are trained. As the temperature falls, every row comes near to one token, and the
    heaviest tokens are a text. That is the distribution of Guo et al. 2021 ("Gradient-based
    adversarial attacks against text transformers") without its noise.

    Args:
        model: whose tokens are mixed.
        token_ids: [P] where rows start; a special token starts as the mean of all others.
    """

    temperature: Tensor
    begins_at_start = False

    def __init__(self, model: FrozenModel, token_ids: Sequence[int]) -> None:
        super().__init__()
        # The table stays the model's: it is neither copied here nor kept in checkpoints.
        self._model = model
        self._ids = torch.from_numpy(ordinary_tokens(model))
        weight = math.log(_START_WEIGHT / (1 - _START_WEIGHT) * max(len(self._ids) - 1, 1))
        started = torch.tensor(list(token_ids))[:, None] == self._ids
        self.logits = nn.Parameter(weight * started.float())
        self.register_buffer("temperature", torch.tensor(_FIRST))

    def forward(self) -> Tensor:
        """Rows [P, H]."""
        weights = torch.softmax(self.logits / self.temperature, -1)
        return weights @ self._model.embed_ids(self._ids)

    def default_rate(self, spread: float) -> float:  # noqa: ARG002
        """That of logits, whose differences are a few nats whatever the table holds."""
        return 0.3

    def prepare_update(self, done: float) -> None:
        """Lower the temperature."""
        self.temperature.fill_(_FIRST * (_LAST / _FIRST) ** done)

    def describe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The heaviest token of every row, its weight, and the temperature."""
        weights, places = torch.softmax(state["logits"] / state["temperature"], -1).max(-1)
        return {
            "mixture_token_ids": self._ids[places.cpu()].tolist(),
            "mixture_weights": [round(weight, 4) for weight in weights.tolist()],
            "mixture_temperature": round(float(state["temperature"]), 4),
        }
