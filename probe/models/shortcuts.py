"""Exact shortcuts a frozen model can take: the same numbers from less work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers.activations import NewGELUActivation

from probe.models.ragged import collect, spread


@dataclass
class _Asked:
    """What a pass is asked for."""

    places: Tensor
    """[M] of the flattened [B · S] positions."""
    kept: bool = False
    """Whether the head has seen these places alone."""


_asked: ContextVar[_Asked | None] = ContextVar("asked", default=None)
_shape: ContextVar[tuple[int, int]] = ContextVar("shape")


@contextmanager
def only_at(places: Tensor) -> Iterator[_Asked]:
    """Within the block, only these places of the flattened states reach the head, [M].

    Args:
        places: indices into the flattened [B · S] positions, all different.
    """
    asked = _Asked(places)
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


def logits_at(model: Any, places: Tensor, arguments: Mapping[str, Any]) -> Tensor:
    """Logits [M, V] at places of the flattened [B · S] positions, all different.

    Some models multiply by their head's weights without calling the head, and some give it more
    than [B, S, H]: these make all logits, and the places are picked from them.
    """
    with only_at(places) as asked:
        logits: Tensor = model(**arguments).logits
    return logits[0] if asked.kept else collect(logits.flatten(0, 1), places.to(logits.device))


def take_shortcuts(model: Any) -> None:
    """Install the shortcuts on a frozen transformers model; its weights stay as they are."""
    if (head := model.get_output_embeddings()) is not None:
        head.register_forward_pre_hook(_keep_for_head)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, NewGELUActivation):  # seven passes over [N, 4H] where one will do
                setattr(parent, name, nn.GELU(approximate="tanh"))


def layer_list(model: Any) -> nn.ModuleList:
    """The layers of a transformers model (of the encoder, where there are two stacks), in order.

    Raises:
        ValueError: the model keeps its layers in no list.
    """
    layers = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == layers:
            return module
    raise ValueError(f"{type(model).__name__} has no list of {layers} layers")


def shorten_last_layer(layer: nn.Module) -> None:
    """Let the last layer's feed-forward block see only the places that reach the head.

    Nothing reads its output elsewhere. For layers whose `mlp` takes and returns [B, S, H].
    """
    if isinstance(feed_forward := getattr(layer, "mlp", None), nn.Module):
        feed_forward.register_forward_pre_hook(_keep_places)
        feed_forward.register_forward_hook(_fill_places)


def _keep_for_head(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """Before the head: [B, S, H] → [1, M, H]."""
    if (asked := _asked.get()) is None or inputs[0].ndim != 3:
        return None
    asked.kept = True
    return _kept(asked, inputs)


def _keep_places(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """Before a feed-forward block: [B, S, H] → [1, M, H]."""
    return None if (asked := _asked.get()) is None else _kept(asked, inputs)


def _kept(asked: _Asked, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    hidden = inputs[0]
    _shape.set((hidden.shape[0], hidden.shape[1]))
    places = asked.places.to(hidden.device)
    return (collect(hidden.flatten(0, 1), places)[None], *inputs[1:])


def _fill_places(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
    """After a feed-forward block: [1, M, H] → [B, S, H], zeros elsewhere."""
    if (asked := _asked.get()) is None:
        return None
    batch, length = _shape.get()
    whole = spread(output[0], asked.places.to(output.device), batch * length)
    return whole.reshape(batch, length, -1)
