"""Attention knock-out: in some layers, texts do not attend to the prompt's rows.

The scores of text positions for the prompt's are left out before the softmax, as Geva et al. 2023
do (*Dissecting Recall of Factual Associations in Auto-Regressive Language Models*, §5). Prompt rows
still attend to whatever they did, and positions are counted as ever.

With every layer cut, nothing that a text reads depends on the rows. Where positions are relative
and the prompt stands in front of everything, that is the model without a prompt.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from probe.models.causal import CausalModel
from probe.models.frozen import FrozenModel
from probe.models.injection import Injection, InjectionError
from probe.models.inputs import last_padded, number_table
from probe.models.rows import Row
from probe.models.shortcuts import layer_list, take_shortcuts
from probe.models.tracing import shared_weight_copy

KNOCK_OUT = "probe_knock_out"
"""Name of the attention function in transformers' registry."""
_TOLERANCE_NATS = {True: 0.05, False: 1e-4}
"""In half precision, and in whole."""


_cut: ContextVar[frozenset[int]] = ContextVar("cut", default=frozenset())
"""`id` of every part of the layers that are cut in this thread."""


class KnockOut:
    """A model on the same weights in which layers can be cut off from the prompt."""

    def __init__(self, model: FrozenModel) -> None:
        """Copy the model's modules; its weights are shared.

        Raises:
            InjectionError: two stacks of layers read the prompt, or the layers are in no list.
        """
        if model.two_stacks:
            raise InjectionError(
                f"{model.name} ({model.family}) reads a prompt in an encoder and through its "
                "decoder: knock-out needs one stack of layers, a causal or encoder model"
            )
        self._whole = model
        self.model = copy.copy(model)
        self.model.model = shared_weight_copy(model.model)
        take_shortcuts(self.model.model)  # the copy comes without hooks
        try:
            self.model.model.set_attn_implementation(KNOCK_OUT)
            self._layers = [
                frozenset(id(part) for part in layer.modules())
                for layer in layer_list(self.model.model)
            ]
        except ValueError as error:
            raise _unable(model) from error
        if isinstance(self.model, CausalModel):
            self.model.plain = True

    @contextmanager
    def without(self, layers: Collection[int]) -> Iterator[FrozenModel]:
        """The model with these layers cut, within the block."""
        token = _cut.set(frozenset().union(*(self._layers[layer] for layer in layers)))
        try:
            yield self.model
        finally:
            _cut.reset(token)

    @torch.no_grad()
    def require_cuts(self, injection: Injection, rows: Sequence[Row]) -> None:
        """See that the copy scores as the model, and that a cut in every layer hides the rows.

        Raises:
            InjectionError: it does not: the model computes attention in code of its own.
        """
        try:
            pairs = [(self._whole.label_scores(injection, rows), self._scores(injection, rows, ()))]
            every = range(len(self._layers))
            pairs += [
                (self._scores(injection, rows, every), self._scores(_other(injection), rows, every))
            ]
        except ValueError as error:  # such as transformers' for attention with capped scores
            raise _unable(self._whole) from error
        far = max(float((one - other).abs().max()) for one, other in pairs)
        if not far <= _TOLERANCE_NATS[self._whole.autocast]:
            raise _unable(self._whole)

    def _scores(self, injection: Injection, rows: Sequence[Row], layers: Collection[int]) -> Tensor:
        with self.without(layers) as model:
            return model.label_scores(injection, rows)


def _unable(model: FrozenModel) -> InjectionError:
    return InjectionError(
        f"{model.name} ({model.config.model_type}) computes attention in code of its own, in which "
        "no layer can be cut off from the prompt: use `probe ablate`, which changes rows"
    )


def _other(injection: Injection) -> Injection:
    """Prompts of the same lengths with other numbers in them."""
    if injection.embeddings is not None:
        return Injection(-injection.embeddings.roll(1, -1), injection.lengths)
    pairs = [(-keys, -values) for keys, values in injection.key_values or ()]
    return Injection(None, injection.lengths, pairs)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer, [B, heads, S, d] each, without the prompt where it is cut."""
    if id(module) in _cut.get():
        seen = ~_hidden(query.shape[2], key.shape[2], query.device)
        if attention_mask is None:
            attention_mask = seen
        elif attention_mask.dtype == torch.bool:
            attention_mask = attention_mask & seen
        else:
            least = torch.finfo(attention_mask.dtype).min
            attention_mask = attention_mask.masked_fill(~seen, least)
    return sdpa_attention_forward(module, query, key, value, attention_mask, **others)


def _hidden(queries: int, keys: int, device: torch.device) -> Tensor:
    """[B, 1, S, C]: where a text position looks at a prompt row, among the rows read last.

    Columns that are more than the rows have are those of key/value prefixes, which stand ahead.
    """
    prompt = number_table(last_padded(), device)[:, :queries] < 0
    padding = number_table([[1] * len(row) for row in last_padded()], device)[:, :queries] < 0
    prompt &= ~padding
    columns = pad(prompt, (keys - queries, 0), value=True)
    return (~prompt[:, :, None] & columns[:, None, :])[:, None]


def _whole_mask(*given: Any, **named: Any) -> Tensor | None:
    """A mask with every place in it: without one, nobody could tell causal attention from full."""
    skips = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    return sdpa_mask(*given, **named | skips)


AttentionInterface.register(KNOCK_OUT, _attend)
AttentionMaskInterface.register(KNOCK_OUT, _whole_mask)
