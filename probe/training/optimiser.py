"""One prompt's optimiser: its rate at each step, and its state as tensors and plain values."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers.optimization import Adafactor

from probe.requests.train_config import TrainConfig

Tensors = dict[str, Tensor]


def below(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors whose names begin so, by the rest of their names."""
    return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}


def optimiser_of(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser a configuration names; its rate is set at every step."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if config.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=0.0, weight_decay=config.weight_decay)
    # As in Lester et al. 2021, appendix A: no scaling by the parameters, no relative steps.
    return Adafactor(  # type: ignore[no-untyped-call]
        parameters,
        lr=0.0,
        scale_parameter=False,
        relative_step=False,
        weight_decay=config.weight_decay,
    )


def learning_rate(config: TrainConfig, peak: float, step: int) -> float:
    """The rate of update `step`, counted from 0.

    It rises linearly from `peak / warmup_steps` to the peak, then falls to zero just after the
    last step.
    """
    warmup = config.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, config.steps - warmup)
    if config.schedule == "constant":
        return peak
    if config.schedule == "linear":
        return peak * (1 - done)
    return peak * 0.5 * (1 + math.cos(math.pi * done))


def update(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """One step at a rate; gradients are dropped after it."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def optimiser_state(optimiser: torch.optim.Optimizer) -> tuple[Tensors, dict[str, Any]]:
    """Tensors `PARAMETER.NAME` and plain values under the same names."""
    tensors: Tensors = {}
    plain: dict[str, Any] = {}
    for number, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            place = tensors if isinstance(value, Tensor) else plain
            place[f"{number}.{name}"] = value
    return tensors, plain


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Tensors, plain: dict[str, Any]
) -> None:
    """Put a state back that `optimiser_state` took."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **plain}.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
