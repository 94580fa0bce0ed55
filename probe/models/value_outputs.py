"""What one attention head adds to the residual stream when it reads one value."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from probe.models.causal import CausalModel
from probe.models.frozen import FrozenModel
from probe.models.injection import InjectionError
from probe.models.shortcuts import layer_list
from probe.protocols import ProjectValues

_ATTENTION = {"self_attn", "attn", "attention", "self_attention"}
_OUTPUT = {"o_proj", "c_proj", "out_proj", "dense"}
"""What transformers calls the attention of a layer and its output matrix."""


def value_projector(model: FrozenModel) -> ProjectValues:
    """A function from values [L, key/value heads, P, head_dim] to [L, heads, P, H].

    A head's part of the output is its slice of the layer's output matrix times the value (Elhage
    et al. 2021, "A Mathematical Framework for Transformer Circuits"); the bias belongs to no head.
    With grouped queries a value is read by several heads, neighbours of each other, each with a
    slice of its own.

    Raises:
        InjectionError: the model takes no key/value prefixes, or does not add its attention's
            output to the stream as it is.
    """
    if not isinstance(model, CausalModel) or model.kv_shape is None:
        raise InjectionError(
            f"{model.name} ({model.family}) reads no key/value prefixes in one stack of layers: "
            "use the causal model the prefix was trained on"
        )
    layers, groups, width = model.kv_shape
    matrices = [_output_of(model, layer) for layer in layer_list(model.model)]
    heads = int(model.config.num_attention_heads)

    @torch.no_grad()
    def project(values: NDArray[np.float32]) -> NDArray[np.float32]:
        if (found := (values.shape[0], values.shape[1], values.shape[3])) != model.kv_shape:
            raise InjectionError(
                f"{model.name} reads prefixes of (layers, heads, head_dim) "
                f"{(layers, groups, width)}, found {found}: use the model the prefix was trained on"
            )
        return np.stack(
            [
                _by_head(model, matrix, np.repeat(layer, heads // groups, axis=0))
                for matrix, layer in zip(matrices, values, strict=True)
            ]
        )

    return project


def _by_head(
    model: FrozenModel, matrix: nn.Module, values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """[heads, P, head_dim] → [heads, P, H], each value alone in its head's slice."""
    heads, length, width = values.shape
    given = torch.from_numpy(np.ascontiguousarray(values))
    placed = torch.zeros(heads, length, heads, width)
    index = torch.arange(heads)
    placed[index, :, index] = given
    inputs = placed.reshape(heads * length, heads * width).to(next(matrix.parameters()).device)
    with model.precision():
        added: Any = matrix(inputs) - matrix(torch.zeros_like(inputs[:1]))
    out: NDArray[np.float32] = added.float().cpu().numpy().reshape(heads, length, -1)
    return out


def _output_of(model: FrozenModel, layer: nn.Module) -> nn.Module:
    """The output matrix of a layer's attention.

    Raises:
        InjectionError: it cannot be told, or is not the last thing that happens to the output.
    """
    if hasattr(layer, "pre_feedforward_layernorm"):
        raise InjectionError(
            f"{model.name} normalises what attention adds, so one head's part of it is not "
            "defined: use a model that adds it as it is"
        )
    modules: dict[str, nn.Module] = dict(layer.named_modules())
    for name, module in modules.items():
        path = name.split(".")
        if len(path) > 1 and path[-2] in _ATTENTION and path[-1] in _OUTPUT:
            return module
    raise InjectionError(
        f"{type(layer).__name__} of {model.name} keeps its attention's output matrix in no known "
        "place: expected a GPT-2, Llama, OPT, NeoX, BLOOM, Phi or Falcon kind of layer"
    )
