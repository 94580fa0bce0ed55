"""Rotary positions stretched for long texts, which transformers drops from GGUF files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from probe.arrays import Float64Array
from probe.errors import ModelNotFoundError
from probe.tables.gguf_parts import GgufPart

_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LLAMA3_CONTEXT = 8192
_FREQUENCIES, _LONG, _SHORT = (
    "rope_freqs.weight",
    "rope_factors_long.weight",
    "rope_factors_short.weight",
)


def complete_rope(config: Any, parts: Sequence[GgufPart], where: str) -> None:
    """Set how positions are stretched.

    Args:
        config: as transformers made it of the file.
        parts: the model's files, the first one first.
        where: the model as errors name it.

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
    """The parameters that give these divisors of frequencies by Llama 3's rule.

    Raises:
        ModelNotFoundError: none do.
    """
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
