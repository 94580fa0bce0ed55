"""Exact shortcuts a frozen model can take: the same numbers from less work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn
from transformers.activations import NewGELUActivation

from probe.models.ragged import collect, spread

_places: ContextVar[Tensor | None] = ContextVar("places", default=None)
_shape: ContextVar[tuple[int, int]] = ContextVar("shape")


@contextmanager
def only_at(places: Tensor) -> Iterator[None]:
    """Within the block, only these places of the flattened states reach the head, [M].

    Args:
        places: indices into the flattened [B · S] positions, all different.
    """
    token = _places.set(places)
    try:
        yield
    finally:
        _places.reset(token)


def take_shortcuts(model: Any) -> None:
    """Install the shortcuts on a frozen transformers model; its weights stay as they are."""
    if (head := model.get_output_embeddings()) is not None:
        head.register_forward_pre_hook(_keep_places)
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


def _keep_places(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """Before a module: [B, S, H] → [1, M, H]."""
    if (places := _places.get()) is None:
        return None
    hidden = inputs[0]
    _shape.set((hidden.shape[0], hidden.shape[1]))
    return (collect(hidden.flatten(0, 1), places.to(hidden.device))[None], *inputs[1:])


def _fill_places(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
    """After a module: [1, M, H] → [B, S, H], zeros elsewhere."""
    if (places := _places.get()) is None:
        return None
    batch, length = _shape.get()
    whole = spread(output[0], places.to(output.device), batch * length)
    return whole.reshape(batch, length, -1)
