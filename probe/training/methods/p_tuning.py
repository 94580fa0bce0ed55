"""P-tuning: rows that an encoder makes of trained inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from probe.models import FrozenModel
from probe.requests.train_config import Encoder, TrainConfig
from probe.training.initialise import Start, rows_of
from probe.training.methods.base import PromptModule, begin_at_zero, keeps_start


def build(model: FrozenModel, config: TrainConfig, start: Start) -> PromptModule:
    """An encoder of the width asked for, else the model's."""
    width = config.encoder_width or model.width
    return PTuning(rows_of(start), config.encoder, width, adds=keeps_start(config))


class PTuning(PromptModule):
    """Rows that an encoder makes of trained inputs (Liu et al. 2021, §3.2).

    A start other than noise cannot pass through a fresh encoder unchanged, so the encoder then
    adds to its inputs and begins by adding nothing (Razdaibiedina et al. 2023).
    """

    def __init__(self, start: Tensor, encoder: Encoder, width: int, *, adds: bool) -> None:
        super().__init__()
        rows_width = start.shape[1]
        half = (width + 1) // 2
        # Inputs of unit size, as in the published code: smaller ones all look alike to the encoder.
        self.inputs = nn.Parameter(start.clone() if adds else torch.randn(start.shape))
        self.adds = adds
        self.lstm: nn.LSTM | None = None
        if encoder == "lstm":
            self.lstm = nn.LSTM(rows_width, half, num_layers=2, bidirectional=True)
        self.mlp = nn.Sequential(
            nn.Linear(2 * half if self.lstm else rows_width, width),
            nn.ReLU(),
            nn.Linear(width, rows_width),
        )
        if adds:
            begin_at_zero(self.mlp[-1])

    def forward(self) -> Tensor:
        """Rows [P, H]."""
        states = self.inputs if self.lstm is None else self.lstm(self.inputs)[0]
        made: Tensor = self.mlp(states)
        return self.inputs + made if self.adds else made

    def default_rate(self, spread: float) -> float:  # noqa: ARG002
        """That of the encoder's weights."""
        return 0.003
