"""What a GGUF file says of its model and transformers leaves out, or believes too readily."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from probe.errors import ModelNotFoundError
from probe.tables.gguf_parts import GgufPart, part_with
from probe.tables.gguf_table import TABLE
from probe.texts import counted

_SPARE_NUMBERS = 1 << 24
_SCALED_BY_WIDTH = {"gemma2": 46, "gemma3": 62}
"""Layers of the Gemma models (27B) that scale attention by H over heads, as no key of a file says.
"""


def complete_config(config: Any, parts: Sequence[GgufPart]) -> None:
    """Set what the file says and transformers leaves at the defaults of its configuration class.

    Args:
        config: as transformers made it of the file.
        parts: the model's files, the first one first.
    """
    header = parts[0].header

    def said(key: str) -> int | None:
        found = header.metadata.get(f"{header.architecture}.{key}")
        return found if type(found) is int and found > 0 else None

    if (table := part_with(parts[0], TABLE).header.tensors.get(TABLE)) is not None:
        config.vocab_size = table.shape[0]
    head, context = said("attention.key_length"), said("context_length")
    # Gemma 4 has two sizes of heads, which transformers tells apart itself.
    if head and hasattr(config, "head_dim") and not header.architecture.startswith("gemma4"):
        config.head_dim = head
    if context and hasattr(config, "n_positions"):
        config.n_positions = context
    if header.architecture == "t5":  # transformers takes every file for one with gates of ReLU
        config.is_gated_act = "enc.blk.0.ffn_gate.weight" in header.tensors
        config.dense_act_fn = "gelu_new" if config.is_gated_act else "relu"
        config.feed_forward_proj = "gated-gelu" if config.is_gated_act else "relu"
    if said("block_count") == _SCALED_BY_WIDTH.get(header.architecture):
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads
    for role in ("bos", "eos", "pad"):
        row = getattr(config, f"{role}_token_id", None)
        if isinstance(row, int) and row >= config.vocab_size:
            setattr(config, f"{role}_token_id", None)  # a default of another vocabulary


def require_layers(parts: Sequence[GgufPart], where: str) -> None:
    """Refuse a number of layers that the file's tensors do not bear out; configurations list them.

    Raises:
        ModelNotFoundError: there are more layers than tensors.
    """
    header = parts[0].header
    layers = header.metadata.get(f"{header.architecture}.block_count", 0)
    held = sum(len(part.header.tensors) for part in parts)
    if type(layers) is not int or layers > held:
        raise ModelNotFoundError(
            f"{where}: it says {counted(layers, 'layer')} and holds {counted(held, 'tensor')}, "
            "expected some of every layer: fetch the file again"
        )


def require_plausible(automatic: Any, config: Any, parts: Sequence[GgufPart], where: str) -> None:
    """Refuse sizes that the file's tensors do not bear out, before anything of them is made.

    Args:
        automatic: transformers' class that builds the model.
        config: of the model.
        parts: its files.
        where: the model as errors name it.

    Raises:
        ModelNotFoundError: the file speaks of more numbers than it holds.
    """
    tensors = [tensor for part in parts for tensor in part.header.tensors.values()]
    with torch.device("meta"):
        numbers = automatic.from_config(config, trust_remote_code=False).num_parameters()
    held = sum(prod(tensor.shape) for tensor in tensors)
    if numbers > 2 * held + _SPARE_NUMBERS:
        raise ModelNotFoundError(
            f"{where}: it speaks of {numbers} weights and holds {held}: fetch the file again"
        )
