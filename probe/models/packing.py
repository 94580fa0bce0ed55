"""One row for a whole batch: K prompts once, then every text, with attention that keeps it exact.

A frozen causal model does the same work for a prompt in every row of a batch. Here the batch is one
sequence [1, N]: the prompts it uses, then the texts without padding. Everything position-wise sees
each token once; only attention knows which text reads which prompt. Prompt positions attend to
their own prompt, texts to their prompt and to themselves, so all numbers are those of separate
rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from probe.models.injection import KeyValues
from probe.models.sequences import Ragged

PACKED = "probe_packed"
"""Name of the attention function in transformers' registry."""

ARCHITECTURES = frozenset({"gpt2", "gpt_neox", "llama", "mistral", "opt", "qwen2", "qwen3"})
"""`model_type`s whose packed pass is tested against the plain one; others take the plain path."""


@dataclass(frozen=True, eq=False)
class Packing:
    """Who attends to whom in a packed batch of K prompts and B texts."""

    prompts: Ragged | None
    """The prompts inside the sequence; None when there are none there (prefixes, zero-shot)."""
    texts: Ragged
    which: Tensor | None
    """[B] prompt each text reads; None when there is one for all."""
    prompt_positions: Tensor
    """[K, P], -1 where a prompt is shorter."""
    text_positions: Tensor
    """[B, T], -1 on padding."""
    branches: Tensor | None
    """[B, T]: 0 for tokens every branch of a text sees, else the branch; None without branches."""
    key_values: KeyValues | None = None
    """Prefix tuning: what texts attend to in place of prompts."""
    masks: dict[int | None, tuple[Tensor | None, Tensor | None]] = field(default_factory=dict)

    def prompt_mask(self, window: int | None) -> Tensor | None:
        """[K, 1, P, P] who attends to whom among prompt positions; None is plainly causal."""
        return self._masks(window)[0]

    def text_mask(self, window: int | None) -> Tensor | None:
        """[B or 1, 1, T, P + T] who texts attend to; None is plainly causal."""
        return self._masks(window)[1]

    def _masks(self, window: int | None) -> tuple[Tensor | None, Tensor | None]:
        if window not in self.masks:
            self.masks[window] = (self._build_prompt_mask(window), self._build_text_mask(window))
        return self.masks[window]

    def _build_prompt_mask(self, window: int | None) -> Tensor | None:
        longest = self.prompt_positions.shape[1]
        if window is None or window >= longest:
            return None  # padding lies behind every real position
        return _visible(self.prompt_positions, self.prompt_positions, window)[:, None]

    def _build_text_mask(self, window: int | None) -> Tensor | None:
        prompts = self.prompt_positions
        prompts = (
            prompts.expand(len(self.text_positions), -1)
            if self.which is None
            else (prompts[self.which])
        )
        texts = self.text_positions
        if prompts.shape[1] == 0 and self.branches is None and window is None:
            return None
        mask = _visible(texts, torch.cat([prompts, texts], 1), window)
        if self.branches is not None:
            trunk = self.branches[:, None, :] == 0
            own = self.branches[:, :, None] == self.branches[:, None, :]
            mask[:, :, prompts.shape[1] :] &= trunk | own
        if self.texts.places is None and self.which is None and self.branches is None:
            mask = mask[:1]
        return mask[:, None]


def _visible(queries: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """[G, Q, S]: which key positions a query position may see; -1 is padding."""
    before = keys[:, None, :] <= queries[:, :, None]
    mask = before & (keys[:, None, :] >= 0)
    if window is not None:
        mask &= keys[:, None, :] > queries[:, :, None] - window
    # A padded query must see something, or its row is NaN and spoils gradients by 0 · NaN.
    return mask | (queries[:, :, None] < 0)


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    packing: Packing | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer: packed when the call carries a packing, else the library's own.

    Args:
        module: the attention module; knows its layer.
        query: [1, heads, N, d].
        key: [1, kv_heads, N, d].
        value: [1, kv_heads, N, d].
        attention_mask: used only without packing.
        packing: who attends to whom.
        others: what the library passes on to every attention function: `scaling`, the factor on
            the scores; `sliding_window`, positions a query sees, itself included; `dropout`, which
            frozen models have none of.

    Returns:
        [1, N, heads, d], and None for weights that are never made.
    """
    if packing is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **others)
    scaling, window = others.get("scaling"), others.get("sliding_window")
    states = [heads[0].transpose(0, 1) for heads in (query, key, value)]  # [N, heads, d]
    outputs, prefix = [], []
    if packing.prompts is not None:
        # One split in place of two slices: its gradient is one concatenation.
        cut = [packing.prompts.total, packing.texts.total]
        parts = [torch.split(flat, cut) for flat in states]
        prompt = [packing.prompts.pad(inside) for inside, _ in parts]
        states = [text for _, text in parts]
        seen = _attend(prompt, packing.prompt_mask(window), scaling)
        outputs.append(packing.prompts.flatten(seen))
        prefix = prompt[1:]
    elif packing.key_values is not None:
        layer: int = module.layer_idx  # type: ignore[assignment]
        prefix = [given.to(key) for given in packing.key_values[layer]]
    text = [packing.texts.pad(flat) for flat in states]
    if prefix:
        text[1:] = [
            torch.cat([_per_text(shared, packing), own], 2)
            for shared, own in zip(prefix, text[1:], strict=True)
        ]
    seen = _attend(text, packing.text_mask(window), scaling)
    outputs.append(packing.texts.flatten(seen))
    return torch.cat(outputs)[None], None


def _per_text(prefix: Tensor, packing: Packing) -> Tensor:
    """[K, heads, P, d] as [B, heads, P, d]."""
    if packing.which is None:
        return prefix.expand(packing.texts.count, -1, -1, -1)
    return prefix.index_select(0, packing.which)


def _attend(states: Sequence[Tensor], mask: Tensor | None, scaling: float | None) -> Tensor:
    """[G, heads, Q, d] by fused attention; heads that share keys become more queries of one head.

    That needs no copies of shared keys and values.
    """
    query, key, value = states
    heads, shared, length = query.shape[1], key.shape[1], query.shape[2]
    if heads == shared:
        return scaled_dot_product_attention(
            query, key, value, mask, is_causal=mask is None, scale=scaling
        )
    groups = heads // shared
    if mask is None:
        mask = query.new_ones(length, length, dtype=torch.bool).tril()[None, None]
    folded = query.reshape(len(query), shared, groups * length, -1)
    seen = scaled_dot_product_attention(
        folded, key, value, mask.repeat(1, 1, groups, 1), scale=scaling
    )
    return seen.reshape(len(query), heads, length, -1)


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, sdpa_mask)
