"""Exact shortcuts a frozen model can take: the same numbers from less work."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import NewGELUActivation

from probe.models.embedding import takes
from probe.models.sequences import collect, spread
from probe.texts import counted


@dataclass(frozen=True)
class _Scored:
    """What is read of a pass."""

    places: Tensor
    """[M] of the flattened [B · S] positions."""
    shape: tuple[int, int]
    """(B, S)"""


_scored: ContextVar[_Scored | None] = ContextVar("scored", default=None)
"""Of the pass that runs in this thread; hooks know it from here, since models pass nothing on."""


def logits_at(model: Any, places: Tensor, arguments: Mapping[str, Any]) -> Tensor:
    """Logits [M, V] at places of the flattened [B · S] positions, ascending and all different.

    transformers' `logits_to_keep` leaves out the others. Where a model has none, a hook on its
    head does; some models multiply by their head's weights without calling the head, and some give
    it more than [B, S, H]: these make all logits, and the places are picked from them.
    """
    scored = _Scored(places, _shape_of(arguments))
    mask = {"logits_to_keep": _mask(scored)} if takes(model, "logits_to_keep") else {}
    token = _scored.set(scored)
    try:
        logits: Tensor = model(**arguments, **mask).logits
    finally:
        _scored.reset(token)
    if logits.shape[:-1].numel() == len(places):
        return logits.flatten(0, -2)
    return collect(logits.flatten(0, 1), places.to(logits.device))


def _shape_of(arguments: Mapping[str, Any]) -> tuple[int, int]:
    """(B, S) of what a pass runs; of the decoder, where there is one."""
    names = ("decoder_inputs_embeds", "decoder_input_ids", "inputs_embeds")
    batch, length = next(arguments[name] for name in names if name in arguments).shape[:2]
    return batch, length


def _mask(scored: _Scored) -> Tensor:
    """[B, S]: whether a position is read. On the CPU, where it serves a model on any device."""
    mask = torch.zeros(scored.shape, dtype=torch.bool)
    mask.view(-1)[scored.places.cpu()] = True
    return mask


def take_shortcuts(model: Any) -> None:
    """Install the shortcuts on a frozen transformers model; its weights stay as they are."""
    head = model.get_output_embeddings()
    if head is not None and not takes(model, "logits_to_keep"):
        head.register_forward_pre_hook(_keep_places)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, NewGELUActivation):  # seven passes over [N, 4H] where one will do
                setattr(parent, name, nn.GELU(approximate="tanh"))


def drop_shortcuts(model: Any) -> None:
    """Take off the shortcuts that a copy of a frozen model came with."""
    for module in model.modules():
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            ours = [key for key, hook in hooks.items() if hook in (_keep_places, _fill_places)]
            for key in ours:
                del hooks[key]


def layer_list(model: Any) -> nn.ModuleList:
    """The layers of a transformers model (of the encoder, where there are two stacks), in order.

    Raises:
        ValueError: the model keeps its layers in no list.
    """
    layers = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return module
    raise ValueError(f"{type(model).__name__} has no list of {counted(layers, 'layer')}")


def shorten_last_layer(layer: nn.Module) -> None:
    """Let the last layer's feed-forward block see only the places that reach the head.

    Nothing reads its output elsewhere. For layers whose `mlp` takes and returns [B, S, H].
    """
    if isinstance(feed_forward := getattr(layer, "mlp", None), nn.Module):
        feed_forward.register_forward_pre_hook(_keep_places)
        feed_forward.register_forward_hook(_fill_places)


def _keep_places(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """Before a head or a feed-forward block: [B, S, H] → [1, M, H]."""
    scored, hidden = _scored.get(), inputs[0]
    if scored is None or hidden.ndim != 3:
        return None
    places = scored.places.to(hidden.device)
    return (collect(hidden.flatten(0, 1), places)[None], *inputs[1:])


def _fill_places(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
    """After a feed-forward block: [1, M, H] → [B, S, H], zeros elsewhere."""
    if (scored := _scored.get()) is None:
        return None
    batch, length = scored.shape
    whole = spread(output[0], scored.places.to(output.device), batch * length)
    return whole.reshape(batch, length, -1)
