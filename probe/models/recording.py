"""Looking into a frozen model: a copy on the same weights that hooks can hang on."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from probe.models.embedding import carry_factors

_ACTIVATIONS = ("act", "act_fn", "activation_fn", "intermediate_act_fn", "gelu_impl")
"""What transformers calls the activation of a feed-forward block; SwiGLU's is its gate."""


def shared_weight_copy(model: Any) -> Any:
    """A second model on the same weights, with attention that shows its weights.

    Only its modules and configuration are copies, so that switching the attention implementation
    and hanging hooks on it cannot disturb a pass of the first.
    """
    tensors = [*model.parameters(), *model.buffers()]
    other = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    for module in other.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    carry_factors(other)
    other.set_attn_implementation("eager")
    return other


@dataclass
class Recorder:
    """What hooks see during one pass."""

    states: list[Tensor] = field(default_factory=list)
    """Input of the first layer, then every layer's output, each [B, S, H]."""
    activations: list[Tensor] = field(default_factory=list)
    """[B, S, F] per layer."""

    @contextmanager
    def on(self, layers: Sequence[nn.Module]) -> Iterator[None]:
        """Watch these layers within the block."""
        handles = [layers[0].register_forward_pre_hook(self._enter, with_kwargs=True)]
        for layer in layers:
            handles.append(layer.register_forward_hook(self._leave))
            if (activation := _activation(layer)) is not None:
                handles.append(activation.register_forward_hook(self._activate))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, _: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        self.states.append(inputs[0] if inputs else named["hidden_states"])

    def _leave(self, _: nn.Module, __: Any, output: Any) -> None:
        self.states.append(output if isinstance(output, Tensor) else output[0])

    def _activate(self, _: nn.Module, __: Any, output: Tensor) -> None:
        self.activations.append(output)


def _activation(layer: nn.Module) -> nn.Module | None:
    found = (
        module for name, module in layer.named_modules() if name.rpartition(".")[2] in _ACTIVATIONS
    )
    return next(found, None)
