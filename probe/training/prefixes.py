"""Keys and values to start a prefix from, [L, 2, heads, P, head_dim]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from probe.models import FrozenModel

_NOISE_STD = 0.02
"""Keys this small give every position the same attention; values this small disturb no text."""


def stacked(keys: Tensor, values: Tensor) -> Tensor:
    """Keys and values [L, heads, P, head_dim] as one tensor."""
    return torch.stack([keys, values], dim=1)


def noise(kv_shape: tuple[int, int, int], length: int, rng: np.random.Generator) -> Tensor:
    """Small normal noise."""
    layers, heads, head_dim = kv_shape
    shape = (layers, 2, heads, length, head_dim)
    return torch.tensor(rng.normal(0, _NOISE_STD, shape), dtype=torch.float32)


@torch.no_grad()
def activations(model: FrozenModel, rows: Tensor) -> Tensor:
    """What rows [P, H] leave in the model's cache: a prefix that acts as the rows themselves.

    For an encoder–decoder model, what they leave in the decoder's self-attention when both
    halves read them.
    """
    lm = model.model
    inputs = rows[None].to(model.device)
    with model.precision():
        if model.family == "encoder_decoder":
            output = lm(inputs_embeds=inputs, decoder_inputs_embeds=inputs, use_cache=True)
            cache = output.past_key_values.self_attention_cache
        else:
            cache = DynamicCache()  # without the config: a sliding window would drop columns
            lm.base_model(inputs_embeds=inputs, past_key_values=cache, use_cache=True)
    pairs = [torch.stack([at.keys[0], at.values[0]]) for at in cache.layers]
    return torch.stack([pair.float().cpu() for pair in pairs])
