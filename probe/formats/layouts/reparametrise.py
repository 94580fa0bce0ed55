"""Prompt encoders in numpy: small networks some trainers save instead of the prompt they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from probe.arrays import FloatArray
from probe.formats.containers.limits import Budget
from probe.texts import counted

Activation = Literal["relu", "tanh"]

# What one layer may cost: prompts of 100 rows need a tenth of it, files that mean harm far more.
_MAX_LAYERS = 8
_MAX_PRODUCTS = 1 << 33
_MAX_RECURRENT_PRODUCTS = 1 << 29
_MAX_STEPS = 1024


def mlp(
    rows: FloatArray, weights: Mapping[str, FloatArray], activation: Activation, budget: Budget
) -> FloatArray:
    """Rows [P, in] through a `torch.nn.Sequential` of linear layers and activations, [P, out].

    Args:
        rows: inputs.
        weights: `0.weight`, `0.bias`, `2.weight`, … as the module's state dict names them; the
            numbers left out belong to activations.
        activation: what stands between the linear layers.
        budget: memory that may be taken.

    Raises:
        ValueError: no linear layer, or layers that do not fit together.
        KeyError: a layer lacks its bias.
    """
    layers = sorted(int(key.removesuffix(".weight")) for key in weights if key.endswith(".weight"))
    if not 1 <= len(layers) <= _MAX_LAYERS:
        raise ValueError(f"expected 1 to {_MAX_LAYERS} linear layers, found {len(layers)}")
    for number in layers:
        if number != layers[0]:  # written over its input, which nobody else holds
            rows = np.tanh(rows, out=rows) if activation == "tanh" else rows.clip(0, out=rows)
        rows = _linear(rows, weights[f"{number}.weight"], weights[f"{number}.bias"], budget)
    return rows


def bidirectional_lstm(
    rows: FloatArray, weights: Mapping[str, FloatArray], budget: Budget
) -> FloatArray:
    """Rows [P, in] through a bidirectional `torch.nn.LSTM` of any depth, [P, 2·hidden].

    Args:
        rows: inputs, one sequence.
        weights: `weight_ih_l0`, …, `bias_hh_l0_reverse`, … as the module's state dict names them.
        budget: memory that may be taken.

    Raises:
        KeyError: a matrix is missing.
        ValueError: matrices do not fit together.
    """
    depth = sum(key.startswith("weight_ih") and not key.endswith("_reverse") for key in weights)
    if depth > _MAX_LAYERS:
        raise ValueError(f"expected at most {_MAX_LAYERS} layers of an LSTM, found {depth}")
    for layer in range(depth):
        forward = _lstm(rows, weights, f"l{layer}", budget)
        backward = _lstm(rows[::-1], weights, f"l{layer}_reverse", budget)[::-1]
        rows = np.concatenate([forward, backward], axis=1)
    return rows


def _lstm(
    rows: FloatArray, weights: Mapping[str, FloatArray], which: str, budget: Budget
) -> FloatArray:
    """One direction of one layer (Hochreiter & Schmidhuber 1997); gate order i, f, g, o."""
    inputs = _linear(rows, weights[f"weight_ih_{which}"], weights[f"bias_ih_{which}"], budget)
    inputs += weights[f"bias_hh_{which}"]
    recurrent = weights[f"weight_hh_{which}"]
    if len(rows) > _MAX_STEPS or len(rows) * recurrent.size > _MAX_RECURRENT_PRODUCTS:
        raise ValueError(
            f"{counted(len(rows), 'row')} are too many for an LSTM of {recurrent.shape}"
        )
    hidden = cell = np.zeros(recurrent.shape[1], dtype=inputs.dtype)
    states = []
    for row in inputs:
        i, f, g, o = np.split(row + recurrent @ hidden, 4)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        hidden = _sigmoid(o) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states)


def _linear(rows: FloatArray, weight: FloatArray, bias: FloatArray, budget: Budget) -> FloatArray:
    if len(rows) * weight.size > _MAX_PRODUCTS:
        raise ValueError(f"{counted(len(rows), 'row')} are too many for a layer of {weight.shape}")
    budget.take(
        4 * len(rows) * len(weight),
        f"{counted(len(rows), 'row')} × {counted(len(weight), 'number')}",
    )
    result: FloatArray = rows @ weight.T
    result += bias
    return result


def _sigmoid(x: FloatArray) -> FloatArray:
    # The same number as 1 / (1 + exp(-x)), without its overflow.
    result: FloatArray = 0.5 * (1 + np.tanh(0.5 * x))
    return result
