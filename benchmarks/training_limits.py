"""What an update of a prompt has to compute and to hold, counted, beside measured ratios."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Any

import torch
from torch import nn

from probe.models import FrozenModel
from probe.models.shortcuts import layer_list


def allowed(model: FrozenModel, length: int, tokens: float, batch: int) -> tuple[float, float]:
    """How much less work our trainer leaves: in token-steps, and in multiply-adds of the weights.

    PEFT runs B · (P + T) positions through all layers and, in causal models, through the head.
    Causal models here: P + B · (T - 1) positions, B of them in the last feed-forward block and the
    head (one label token per row). Sentence encoders run the same positions on both sides.
    Attention itself is not counted.

    Args:
        model: the frozen model.
        length: P.
        tokens: T, tokens of a row with its label, where the label is read.
        batch: B.
    """
    layers: list[Any] = list(layer_list(model.model))
    weights = _weights(layers[-1])
    theirs = batch * (length + tokens)
    whole = len(layers) * weights
    if model.family == "causal":
        ours = length + batch * (tokens - 1)
        head, last = model.vocabulary_size * model.width, _weights(layers[-1].mlp)
        full = 2 * theirs * (whole + head)
        return theirs / ours, full / (2 * (ours * (whole - last) + batch * (last + head)))
    return 1.0, 1.0


def forget_peak() -> None:
    """Begin anew to watch for the most memory that is held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before is no part of it
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> float:
    """The most memory held since `forget_peak`: of the GPU if there is one, else of the process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def _weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.ndim == 2)
