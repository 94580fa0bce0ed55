"""What every trained module is, and how one is made."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from probe.models import FrozenModel, Injection
from probe.requests.train_config import TrainConfig
from probe.training.initialise import Start


class PromptModule(nn.Module):
    """A trained module: each call makes what one prompt injects.

    Rows are [P, H]; a prefix is [L, 2, heads, P, head_dim], keys then values. Modules with an
    encoder are kept whole in checkpoints; only what they make is exported.
    """

    begins_at_start = True
    """Whether the first rows it makes are those of the start it was built from."""

    def default_rate(self, spread: float) -> float:
        """The highest rate where none is given.

        Args:
            spread: standard deviation of the numbers in the embedding table. Adam moves every
                number by about the rate, so rows need a rate of the size of what they are made of.
        """
        return spread

    def prepare_update(self, done: float) -> None:
        """Set what changes in the course of a run, such as a temperature.

        Args:
            done: share of the run's updates that were made.
        """

    def describe(self, state: Mapping[str, Tensor]) -> dict[str, Any]:  # noqa: ARG002
        """What the exported prompt's configuration says of a state of this module."""
        return {}


def build_module(model: FrozenModel, config: TrainConfig, start: Start) -> PromptModule:
    """The module a configuration trains, on the model's device.

    Raises:
        TrainingError: layers are to be tied that do not come in two halves.
    """
    home = importlib.import_module(f"probe.training.methods.{config.method}")
    # Encoders start on the CPU, from torch's global generator. `torch.manual_seed` would also seed
    # those of every accelerator, which are not put back.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        module: PromptModule = home.build(model, config, start)
    return module.to(model.device)


def keeps_start(config: TrainConfig) -> bool:
    """Whether an encoder adds to the start: it does, unless that is noise."""
    return not config.init.startswith("random")


def begin_at_zero(layer: nn.Module) -> None:
    """Let a layer answer 0 until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


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
