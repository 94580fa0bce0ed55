"""From hidden states to logits, by everything the model itself does behind its last layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from probe.models.frozen import FrozenModel
from probe.models.injection import InjectionError
from probe.models.recording import shared_weight_copy
from probe.models.shortcuts import layer_list
from probe.protocols import Unembed

_BATCH = 256
"""States per pass."""


def unembedder(model: FrozenModel) -> Unembed:
    """A function from hidden states [n, H] to logits [n, V]: last norm, projection, head, capping.

    It runs a copy of the model on the same weights, with one layer, whose output the states
    replace; so what happens behind the layers is the model's own, whatever it is.

    Raises:
        InjectionError: the model has no unembedding for the states a trace gives.
    """
    if model.labels != "in_text":
        raise InjectionError(
            f"{model.name} ({model.family}) has no unembedding for its hidden states: use a "
            "causal or masked language model"
        )
    other = shared_weight_copy(model.model)
    layers = layer_list(other)
    del layers[1:]
    other.config.get_text_config().num_hidden_layers = 1
    replacement = _Replacement(layers[0])

    @torch.no_grad()
    def unembed(states: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = torch.split(torch.from_numpy(np.ascontiguousarray(states, np.float32)), _BATCH)
        logits = []
        for part in parts:
            replacement.states = part[:, None].to(model.device)
            nothing = part.new_zeros(len(part), 1, model.width).to(model.device)
            with model.precision():
                output: Any = other(inputs_embeds=nothing)
            logits.append(output.logits[:, 0].float().cpu().numpy())
        return np.concatenate(logits)

    return unembed


class _Replacement:
    """Puts states in place of a layer's output."""

    def __init__(self, layer: nn.Module) -> None:
        self.states = torch.empty(0)
        layer.register_forward_hook(self._replace)

    def _replace(self, _: nn.Module, __: Any, output: Any) -> Any:
        return self.states if isinstance(output, Tensor) else (self.states, *output[1:])
