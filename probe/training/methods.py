"""The trained modules: each call makes what one prompt injects, rows [P, H] or a prefix.

A prefix is [L, 2, heads, P, head_dim], keys then values. Modules with an encoder are kept whole in
checkpoints; only what they make is exported.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from probe.errors import TrainingError
from probe.models import FrozenModel, Injection
from probe.training.config import Encoder, TrainConfig
from probe.training.initialise import Start, ordinary_tokens
from probe.training.nearest import NearestTokens


class PromptTuning(nn.Module):
    """Rows that are trained themselves (Lester et al. 2021)."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(start.clone())

    def forward(self) -> Tensor:
        """Rows [P, H]."""
        return self.rows


class PTuning(nn.Module):
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
            _begin_at_zero(self.mlp[-1])

    def forward(self) -> Tensor:
        """Rows [P, H]."""
        states = self.inputs if self.lstm is None else self.lstm(self.inputs)[0]
        made: Tensor = self.mlp(states)
        return self.inputs + made if self.adds else made


class PrefixTuning(nn.Module):
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


class ProjectedPrefix(nn.Module):
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
            _begin_at_zero(self.mlp[-1])

    def forward(self) -> Tensor:
        """A prefix [L, 2, heads, P, head_dim]."""
        layers, two, heads, positions, head_dim = self.start.shape
        flat: Tensor = self.mlp(self.inputs)
        made = flat.view(positions, layers, two, heads, head_dim).permute(1, 2, 3, 0, 4)
        return _repeated(self.start + made, self.tied)


class Pez(nn.Module):
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


def method_of(model: FrozenModel, config: TrainConfig, start: Start) -> nn.Module:
    """The module a configuration trains, on the model's device.

    Raises:
        TrainingError: layers are to be tied that do not come in two halves.
    """
    adds = not config.init.startswith("random")
    width = config.encoder_width or model.width
    with torch.random.fork_rng(devices=[]):  # encoders start from torch's global generator
        torch.manual_seed(config.seed)
        if start.prefix is not None:
            tied = _checked_tie(model, config)
            if config.projection:
                module: nn.Module = ProjectedPrefix(start.prefix, width, tied=tied, adds=adds)
            else:
                module = PrefixTuning(start.prefix, tied=tied)
        else:
            module = _rows_method(model, config, start, width, adds)
    return module.to(model.device)


def _rows_method(
    model: FrozenModel, config: TrainConfig, start: Start, width: int, adds: bool
) -> nn.Module:
    if start.rows is None:
        raise TrainingError(f"{config.method} trains rows, and the start has none")
    if config.method == "p_tuning":
        return PTuning(start.rows, config.encoder, width, adds=adds)
    if config.method == "pez":
        return Pez(start.rows, model)
    return PromptTuning(start.rows)


def injection_of_made(made: Sequence[Tensor]) -> Injection:
    """What K modules made as one injection, shorter prompts padded with zeros on the right.

    Args:
        made: K tensors of rows [P, H], or of prefixes [L, 2, heads, P, head_dim].
    """
    lengths = [tensor.shape[-2] for tensor in made]
    longest = max(lengths)
    padded = [
        nn.functional.pad(tensor, (0, 0, 0, longest - length)) if length < longest else tensor
        for tensor, length in zip(made, lengths, strict=True)
    ]
    together = torch.stack(padded)
    if together.ndim == 3:
        return Injection(together, lengths)
    layers = together.unbind(1)  # L of [K, 2, heads, P, head_dim]
    return Injection(None, lengths, [(layer[:, 0], layer[:, 1]) for layer in layers])


def _checked_tie(model: FrozenModel, config: TrainConfig) -> bool:
    layers = model.kv_shape[0] if model.kv_shape else 0
    if config.tie_layers and (model.family != "encoder_decoder" or layers % 2):
        raise TrainingError(
            "tie_layers is for encoder–decoder models with an even number of decoder layers, "
            f"{model.name} is {model.family} with {layers}: leave it out"
        )
    return config.tie_layers


def _trained_layers(start: Tensor, tied: bool) -> Tensor:
    return start[: len(start) // 2] if tied else start


def _repeated(prefix: Tensor, tied: bool) -> Tensor:
    return torch.cat([prefix, prefix]) if tied else prefix


def _begin_at_zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
