"""Prompt tuning: rows that are trained themselves."""

from __future__ import annotations

from torch import Tensor, nn

from probe.models import FrozenModel
from probe.requests.train_config import TrainConfig
from probe.training.initialise import Start, rows_of
from probe.training.methods.base import PromptModule


def build(model: FrozenModel, config: TrainConfig, start: Start) -> PromptModule:  # noqa: ARG001
    """The rows of a start."""
    return PromptTuning(rows_of(start))


class PromptTuning(PromptModule):
    """Rows that are trained themselves (Lester et al. 2021)."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(start.clone())

    def forward(self) -> Tensor:
        """Rows [P, H]."""
        return self.rows
