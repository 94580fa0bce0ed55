"""Hidden states put into the middle of another pass, which then goes on writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DynamicCache

from probe.models.causal import CausalModel
from probe.models.embedding import takes
from probe.models.frozen import FrozenModel
from probe.models.generation import Anew, CausalStep, continuations, last_logits
from probe.models.injection import InjectionError
from probe.models.shortcuts import layer_list, take_shortcuts
from probe.models.tracing import shared_weight_copy
from probe.protocols import Patch
from probe.texts import counted, require_unicode

_PLACEHOLDER = " x"
_BATCH = 16
"""Sets of states per pass."""


def patcher(model: FrozenModel, *, max_new_tokens: int = 24) -> Patch:
    """A function that puts hidden states into a text and lets the model continue it, greedily.

    Every set of states gets as many placeholders (the last token of " x") between the two halves
    of the text, as in Patchscopes (Ghandeharioun et al. 2024, §3); later layers, and all positions
    behind, see the states in their place.

    Raises:
        InjectionError: the model is not causal, so it continues no texts.
    """
    if not isinstance(model, CausalModel):
        raise InjectionError(
            f"{model.name} ({model.family}) cannot describe hidden states: patching continues a "
            "text, which takes a causal language model"
        )
    other = shared_weight_copy(model.model)
    take_shortcuts(other)  # the copy comes without hooks

    @torch.no_grad()
    def patch(states: NDArray[np.float32], layer: int, before: str, after: str) -> list[str]:
        if not 0 <= layer < model.layers:
            raise InjectionError(
                f"states can enter layers 0 to {model.layers - 1} of {model.name}, found {layer}"
            )
        ids, start = _with_placeholders(model, states.shape[1], before, after, max_new_tokens)
        written = []
        for part in torch.split(torch.from_numpy(np.array(states, np.float32)), _BATCH):
            with _replaced(layer_list(other)[layer], part.to(model.device), start):
                written += _continued(model, other, ids, len(part), max_new_tokens)
        return [str(model.tokenizer.decode(row, skip_special_tokens=True)) for row in written]

    return patch


def _with_placeholders(
    model: FrozenModel, count: int, before: str, after: str, more: int
) -> tuple[list[int], int]:
    """Ids of the text, and where the placeholders begin."""

    def encode(text: str, *, special: bool = False) -> list[int]:
        encoded = model.tokenizer(require_unicode(text), add_special_tokens=special)
        return list(encoded["input_ids"])

    ends = (model.tokenizer.eos_token_id, model.tokenizer.sep_token_id)
    head = encode(before, special=True) if before else []
    if head and head[-1] in ends:  # a text that goes on has not ended
        head = head[:-1]
    if not (placeholder := encode(_PLACEHOLDER)[-1:]):
        raise InjectionError(
            f"{model.name} has no token for {_PLACEHOLDER!r}, in whose place hidden states are "
            "put: use another base model"
        )
    ids = [*head, *placeholder * count, *(encode(after) if after else [])]
    if model.positions is not None and len(ids) + more > model.positions:
        raise InjectionError(
            f"{model.name} has {counted(model.positions, 'position')}, the text with {count} "
            f"placeholders and {counted(more, 'new token')} needs {len(ids) + more}: shorten the "
            "text"
        )
    return ids, len(head)


@contextmanager
def _replaced(layer: nn.Module, states: Tensor, start: int) -> Iterator[None]:
    """What enters a layer from `start` on is replaced by states [B, P, H], in passes that reach it.

    Single new tokens come after the prompt has been read: their passes are left alone.
    """
    stop = start + states.shape[1]

    def put(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        hidden = inputs[0] if inputs else named["hidden_states"]
        if hidden.shape[1] < stop:
            return None
        hidden = hidden.clone()
        hidden[:, start:stop] = states.to(hidden.device, hidden.dtype)
        if inputs:
            return (hidden, *inputs[1:]), named
        return inputs, named | {"hidden_states": hidden}

    with layer.register_forward_pre_hook(put, with_kwargs=True):
        yield


def _continued(
    model: FrozenModel, other: Any, ids: list[int], rows: int, max_new_tokens: int
) -> list[list[int]]:
    """Ids of the continuations of the same text, once per row."""

    def behind(written: Sequence[Sequence[int]]) -> Tensor:
        every = torch.tensor([[*ids, *more] for more in written])
        arguments = {"inputs_embeds": model.embed_ids(every), "use_cache": False}
        return last_logits(other, rows, every.shape[1], arguments)

    mask = torch.ones(rows, len(ids), dtype=torch.long, device=model.device)
    quick = CausalStep(
        other,
        model.embed_ids,
        model.embed_ids(torch.tensor([ids])).expand(rows, -1, -1),
        mask,
        DynamicCache(config=other.config),
        positions=takes(other, "position_ids"),
    )
    step = Anew(behind, rows) if getattr(model, "pace", None) == "anew" else quick
    with model.precision():
        return continuations(step, model.stops, max_new_tokens)
