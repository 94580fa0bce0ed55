"""PEZ: rows that are always embeddings of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from probe.models import FrozenModel
from probe.requests.train_config import TrainConfig
from probe.training.initialise import Start, ordinary_tokens, rows_of
from probe.training.methods.base import PromptModule
from probe.training.nearest import NearestTokens


def build(model: FrozenModel, config: TrainConfig, start: Start) -> PromptModule:  # noqa: ARG001
    """The rows of a start, and the model's tokens."""
    return Pez(rows_of(start), model)


class Pez(PromptModule):
    """Rows that are always embeddings of tokens (Wen et al. 2023, algorithm 1).

    The gradient is taken at the nearest tokens, by cosine as in the published code, and applied
    to the rows behind them.

    Args:
        start: [P, H].
        model: whose ordinary tokens may be chosen.
    """

    def __init__(self, start: Tensor, model: FrozenModel) -> None:
        super().__init__()
        self.rows = nn.Parameter(start.clone())
        # The table stays the model's: it is neither copied here nor kept in checkpoints.
        self._model = model
        left_out = torch.ones(model.vocabulary_size, dtype=torch.bool, device=model.device)
        left_out[torch.from_numpy(ordinary_tokens(model)).to(model.device)] = False
        self._tokens = NearestTokens(model, left_out)

    def forward(self) -> Tensor:
        """Rows [P, H]: the embeddings of tokens, with the gradient going to the rows behind."""
        chosen = self._model.embed_ids(self.nearest(self.rows))
        return chosen + (self.rows - self.rows.detach())

    def nearest(self, rows: Tensor) -> Tensor:
        """Ids of the tokens nearest to rows [P, H], [P]."""
        return self._tokens.ids(rows)

    def describe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """The tokens the rows are embeddings of."""
        return {"token_ids": self.nearest(state["rows"]).tolist()}
