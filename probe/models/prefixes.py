"""Key/value prefixes in transformers' own cache, for the passes that are not packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from probe.models.injection import Injection, KeyValues


def prefilled(
    injection: Injection, choice: Sequence[int], config: Any
) -> tuple[DynamicCache, Tensor]:
    """A cache that holds each row's prefix, and the mask [B, P] of the columns it really has.

    Prefixes are padded on the left: sliding windows and relative positions count columns, so a
    hole between a prefix and its text would move them apart. A cache serves one forward pass:
    every pass writes to it.

    Args:
        injection: K prefixes.
        choice: [B] prefix of each row.
        config: the model's, which tells the cache which layers have a window; None for
            decoders that read an encoder, which have none.
    """
    sizes = [injection.lengths[k] for k in choice]
    layers = [
        (_left_padded(keys, choice, sizes), _left_padded(values, choice, sizes))
        for keys, values in injection.key_values or ()
    ]
    device = layers[0][0].device
    columns = torch.arange(max(sizes), device=device)
    lengths = torch.tensor(sizes, device=device)
    present = (columns >= max(sizes) - lengths[:, None]).long()
    return DynamicCache(layers, config=config), present


def _left_padded(states: Tensor, choice: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """[K, heads, P, d] padded on the right → [B, heads, P, d] padded on the left."""
    rows = [
        pad(states[k, :, :size], (0, 0, max(sizes) - size, 0))
        for k, size in zip(choice, sizes, strict=True)
    ]
    return torch.stack(rows)


def used_prefixes(injection: Injection, groups: Sequence[int]) -> KeyValues:
    """Keys and values of prefixes by index; -1 is the empty one and borrows some, to be masked."""
    longest = max(injection.lengths[k] for k in groups if k >= 0)
    index = torch.tensor([max(k, 0) for k in groups])
    return [
        (
            keys[:, :, :longest].index_select(0, index.to(keys.device)),
            values[:, :, :longest].index_select(0, index.to(values.device)),
        )
        for keys, values in injection.key_values or ()
    ]
