"""From token ids to what enters the first block.

Some models multiply what they look up outside their embedding layer, and leave that to the caller
who brings embeddings (Pegasus, Marian, Falcon-H1). Prompts and texts are rows as the embedding
layer answers them; here both are multiplied on their way in, as the model does with ids.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from probe.tables.embedding_layers import answer_of

_WATCHED = 64
"""Modules whose inputs are kept: what enters the first block is among them."""
_TOLERANCE = 1e-4


def table_of(layer: nn.Module) -> Tensor:
    """The first numbers that an embedding layer holds: its table, unless it is quantised."""
    held = next(chain(layer.parameters(), layer.buffers()), None)
    return layer.weight() if held is None else held  # type: ignore[operator] # torch.ao's


def takes(model: Any, argument: str) -> bool:
    """Whether a module of transformers can be given an argument of this name."""
    return argument in inspect.signature(model.forward).parameters


def learn_factor(model: nn.Module, layer: nn.Module, ids: Tensor) -> None:
    """Find what a model multiplies by, run on ids [1, T] and on their embeddings, and apply it."""
    owner = _owner(model, layer)
    if (factor := _factor_of(owner, answer_of(layer, ids), ids)) != 1:
        owner.input_factor = factor
        owner.register_forward_pre_hook(_multiply, with_kwargs=True)


def _owner(model: nn.Module, layer: nn.Module) -> Any:
    """The part of a model that looks ids up in a layer, unless it is given embeddings."""
    for part in model.modules():
        if takes(part, "inputs_embeds") and any(layer is child for child in part.children()):
            return part
    return model


def carry_factors(model: nn.Module) -> None:
    """Apply the factors of a copied model whose hooks were cleared."""
    for module in model.modules():
        if hasattr(module, "input_factor"):
            module.register_forward_pre_hook(_multiply, with_kwargs=True)


def _multiply(
    stack: Any, inputs: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    if (embeddings := named.get("inputs_embeds")) is None:
        return None
    return inputs, named | {"inputs_embeds": embeddings * stack.input_factor}


def _factor_of(stack: Any, embeddings: Tensor, ids: Tensor) -> float:
    """The one number that tells the two ways apart; 1 where there is none."""
    looked_up = _inputs(stack, input_ids=ids)
    given = _inputs(stack, inputs_embeds=embeddings)
    nothing = _inputs(stack, inputs_embeds=torch.zeros_like(embeddings))
    for name in looked_up:
        if name not in given or name not in nothing:
            continue
        wanted, found = looked_up[name] - nothing[name], given[name] - nothing[name]
        if not _close(wanted, found):
            factor = float((wanted * found).sum() / (found * found).sum())
            return factor if _close(wanted, factor * found) else 1.0
    return 1.0


def _close(wanted: Tensor, found: Tensor) -> bool:
    return float((wanted - found).norm()) <= _TOLERANCE * float(wanted.norm())


def _inputs(stack: Any, **arguments: Tensor) -> dict[str, Tensor]:
    """What entered the first modules of a pass, by name, each [1, T, …]."""
    seen: dict[str, Tensor] = {}
    # A decoder without its encoder may fail somewhere behind its first block.
    with _watching(stack, seen), suppress(Exception):
        stack(**arguments)
    return seen


@contextmanager
def _watching(stack: nn.Module, seen: dict[str, Tensor]) -> Iterator[None]:
    def watch(name: str) -> Any:
        def note(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            for states in (*inputs, named.get("hidden_states")):
                if isinstance(states, Tensor) and states.is_floating_point():
                    if len(seen) < _WATCHED:
                        seen.setdefault(name, states.detach().float())
                    return

        return note

    with ExitStack() as hooks:
        for name, module in stack.named_modules():
            if module is not stack:
                hook = module.register_forward_pre_hook(watch(name), with_kwargs=True)
                hooks.enter_context(hook)
        yield
