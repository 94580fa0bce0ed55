"""What a GGUF file says of its model and transformers leaves out, or believes too readily."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from probe.arrays import Float64Array
from probe.errors import ModelNotFoundError
from probe.models.kinds import count_parameters
from probe.tables.gguf_files import TABLE, GgufPart, part_with
from probe.texts import counted

_SPARE_NUMBERS = 1 << 24
_SCALED_BY_WIDTH = {"gemma2": 46, "gemma3": 62}
"""Layers of the Gemma models (27B) that scale attention by H over heads, as no key of a file says.
"""
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LLAMA3_CONTEXT = 8192
_BLOCK = re.compile(r"blk\.(\d{1,6})\.")
_FREQUENCIES, _LONG, _SHORT = (
    "rope_freqs.weight",
    "rope_factors_long.weight",
    "rope_factors_short.weight",
)


def complete_config(config: Any, parts: Sequence[GgufPart]) -> None:
    """Set what the file says and transformers leaves at the defaults of its configuration class."""
    header = parts[0].header

    def said(key: str) -> int | None:
        found = header.metadata.get(f"{header.architecture}.{key}")
        return found if type(found) is int and found > 0 else None

    config.vocab_size = part_with(parts[0], TABLE).header.tensors[TABLE].shape[0]
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
    if said("block_count") == _SCALED_BY_WIDTH.get(header.architecture, -1):
        config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads
    for role in ("bos", "eos", "pad"):
        row = getattr(config, f"{role}_token_id", None)
        if isinstance(row, int) and row >= config.vocab_size:
            setattr(config, f"{role}_token_id", None)  # a default of another vocabulary


def require_layers(parts: Sequence[GgufPart], where: str) -> None:
    """Refuse a number of layers that the file's tensors do not bear out; configurations list them.

    Raises:
        ModelNotFoundError: there are more layers than tensors, or tensors of more layers.
    """
    header = parts[0].header
    layers = header.metadata.get(f"{header.architecture}.block_count", 0)
    held = sum(len(part.header.tensors) for part in parts)
    blocks = [_BLOCK.match(name) for part in parts for name in part.header.tensors]
    last = max((int(block[1]) for block in blocks if block), default=-1)
    if type(layers) is not int or layers > held:
        raise ModelNotFoundError(
            f"{where}: it says {counted(layers, 'layer')} and holds {counted(held, 'tensor')}, "
            "expected some of every layer: fetch the file again"
        )
    if 0 < layers <= last:
        raise ModelNotFoundError(
            f"{where}: it says {counted(layers, 'layer')} and holds tensors of layer {last}, "
            "counted from 0: it would run without them, so fetch the file again"
        )


def require_plausible(automatic: Any, config: Any, parts: Sequence[GgufPart], where: str) -> None:
    """Refuse sizes that the file's tensors do not bear out, before anything of them is made.

    Raises:
        ModelNotFoundError: the file speaks of more numbers than it holds.
    """
    tensors = [tensor for part in parts for tensor in part.header.tensors.values()]
    numbers = count_parameters(automatic, config) or 0
    held = sum(prod(tensor.shape) for tensor in tensors)
    if numbers > 2 * held + _SPARE_NUMBERS:
        raise ModelNotFoundError(
            f"{where}: it speaks of {numbers} weights and holds {held}: fetch the file again"
        )


def complete_rope(config: Any, parts: Sequence[GgufPart], where: str) -> None:
    """Set how positions are stretched.

    Raises:
        ModelNotFoundError: they are stretched in a way that transformers has no name for.
    """
    found = getattr(config, "rope_parameters", None)
    if not isinstance(found, dict):
        return
    rope = dict(found)
    whole = rope.get("full_attention", rope)  # Gemma 3's local layers are never stretched
    stretched = _stretched(config, whole, parts, where)
    if "full_attention" in rope:
        rope["full_attention"] = dict(whole) | stretched
    else:
        rope |= stretched
    config.rope_parameters = rope


def _stretched(
    config: Any, rope: dict[str, Any], parts: Sequence[GgufPart], where: str
) -> dict[str, Any]:
    """What is to be added to a configuration's `rope_parameters`."""
    header = parts[0].header
    kind = header.metadata.get(f"{header.architecture}.rope.scaling.type")
    factor = header.metadata.get(f"{header.architecture}.rope.scaling.factor")
    context = header.metadata.get(f"{header.architecture}.rope.scaling.original_context_length")
    if (long := _values(parts, _LONG)) is not None and (
        short := _values(parts, _SHORT)
    ) is not None:
        config.original_max_position_embeddings = context
        factors = {"long_factor": long.tolist(), "short_factor": short.tolist()}
        return {"rope_type": "longrope", "original_max_position_embeddings": context} | factors
    if (values := _values(parts, _FREQUENCIES)) is not None and (values != 1).any():
        return _as_llama3(values, float(rope.get("rope_theta", 10_000.0)), where)
    if kind == "linear" and factor and factor != 1:
        return {"rope_type": "linear", "factor": float(factor)}
    if kind == "yarn" and factor and context:
        return {
            "rope_type": "yarn",
            "factor": float(factor),
            "original_max_position_embeddings": int(context),
        }
    return {}


def _as_llama3(values: Float64Array, theta: float, where: str) -> dict[str, Any]:
    """The parameters that give these divisors of frequencies by Llama 3's rule."""
    factor = float(values.max())
    if not np.allclose(values, _llama3_divisors(len(values), theta, factor), rtol=1e-3):
        raise ModelNotFoundError(
            f"{where}: its rotary frequencies are stretched by no rule that transformers has: it "
            "can be decoded, but to run it use the model saved by transformers"
        )
    context = {"original_max_position_embeddings": _LLAMA3_CONTEXT}
    return {"rope_type": "llama3", "factor": factor} | _LLAMA3 | context


def _llama3_divisors(count: int, theta: float, factor: float) -> Float64Array:
    """What Llama 3.1 divides each frequency by: 1 where waves are short, `factor` where long."""
    waves = 2 * math.pi * theta ** (np.arange(count) / count)
    low, high = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"]
    between = np.clip((_LLAMA3_CONTEXT / waves - low) / (high - low), 0.0, 1.0)
    return 1 / ((1 - between) / factor + between)


def _values(parts: Sequence[GgufPart], name: str) -> Float64Array | None:
    """A small float32 tensor's numbers; None where no part has it."""
    for part in parts:
        tensor = part.header.tensors.get(name)
        if tensor is not None and tensor.kind == 0 and tensor.stop is not None:
            raw = part.files.map(part.name, tensor.start, tensor.stop)
            return raw.view("<f4").astype(np.float64)
    return None
