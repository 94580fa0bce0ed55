"""Prefix tuning: keys and values of every layer, trained themselves or through an MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from probe.errors import TrainingError
from probe.models import FrozenModel
from probe.requests.train_config import TrainConfig
from probe.training.initialise import Start
from probe.training.methods.base import PromptModule, begin_at_zero, keeps_start


def build(model: FrozenModel, config: TrainConfig, start: Start) -> PromptModule:
    """The prefix of a start, or the MLP that makes one.

    Raises:
        TrainingError: layers are to be tied that do not come in two halves.
    """
    if start.prefix is None:
        raise TrainingError(f"{config.method} trains a prefix, and the start has none")
    tied = _checked_tie(model, config)
    if not config.projection:
        return PrefixTuning(start.prefix, tied=tied)
    width = config.encoder_width or model.width
    return ProjectedPrefix(start.prefix, width, tied=tied, adds=keeps_start(config))


class PrefixTuning(PromptModule):
    """Keys and values of every layer that are trained themselves (Li & Liang 2021).

    Args:
        start: [L, 2, heads, P, head_dim].
        tied: train the lower half of an even number of layers and repeat it above.
    """

    def __init__(self, start: Tensor, *, tied: bool) -> None:
        super().__init__()
        self.tied = tied
        self.prefix = nn.Parameter(_trained_layers(start, tied).clone())

    def forward(self) -> Tensor:
        """A prefix [L, 2, heads, P, head_dim]."""
        return _repeated(self.prefix, self.tied)

    def default_rate(self, spread: float) -> float:  # noqa: ARG002
        """That of keys and values, which are larger than embeddings."""
        return 0.1


class ProjectedPrefix(PromptModule):
    """A prefix that an MLP makes of trained inputs (Li & Liang 2021, §4.3).

    As in `PTuning`, the MLP adds to a start that is not noise and begins by adding nothing.
    """

    start: Tensor

    def __init__(self, start: Tensor, width: int, *, tied: bool, adds: bool) -> None:
        super().__init__()
        lower = _trained_layers(start, tied)
        layers, two, heads, positions, head_dim = lower.shape
        self.tied = tied
        self.register_buffer("start", lower.clone() if adds else torch.zeros_like(lower))
        self.inputs = nn.Parameter(torch.randn(positions, heads * head_dim))
        self.mlp = nn.Sequential(
            nn.Linear(heads * head_dim, width),
            nn.Tanh(),
            nn.Linear(width, layers * two * heads * head_dim),
        )
        if adds:
            begin_at_zero(self.mlp[-1])

    def forward(self) -> Tensor:
        """A prefix [L, 2, heads, P, head_dim]."""
        layers, two, heads, positions, head_dim = self.start.shape
        flat: Tensor = self.mlp(self.inputs)
        made = flat.view(positions, layers, two, heads, head_dim).permute(1, 2, 3, 0, 4)
        return _repeated(self.start + made, self.tied)

    def default_rate(self, spread: float) -> float:  # noqa: ARG002
        """That of the MLP's weights."""
        return 0.003


def _checked_tie(model: FrozenModel, config: TrainConfig) -> bool:
    layers = model.kv_shape[0] if model.kv_shape else 0
    if config.tie_layers and (not model.two_stacks or layers % 2):
        raise TrainingError(
            "tie_layers is for encoder–decoder models with an even number of decoder layers, "
            f"{model.name} is {model.family} with {layers}: leave it out"
        )
    return config.tie_layers


def _trained_layers(start: Tensor, tied: bool) -> Tensor:
    return start[: len(start) // 2] if tied else start


def _repeated(prefix: Tensor, tied: bool) -> Tensor:
    return torch.cat([prefix, prefix]) if tied else prefix
