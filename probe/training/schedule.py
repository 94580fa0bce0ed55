"""The learning rate as a pure function of the step, so that a resumed run needs no memory of it."""

from __future__ import annotations

import math

from probe.training.config import TrainConfig


def default_rate(config: TrainConfig, spread: float) -> float:
    """The highest rate where none is given.

    Args:
        config: names the method.
        spread: standard deviation of the numbers in the embedding table. Adam moves every number
            by about the rate, so rows need a rate of the size of what they are made of.
    """
    if config.method == "p_tuning" or config.projection:
        return 0.003
    return 0.1 if config.method == "prefix_tuning" else spread


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
