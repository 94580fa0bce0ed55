"""The arrays that analyses take and give, how caches keep them and tables store them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
FloatArray = NDArray[np.floating[Any]]
"""Of any precision."""
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ByteArray = NDArray[np.uint8]
Arrays = dict[str, NDArray[np.generic]]
"""By name, as caches keep them."""
Fits = Callable[[Arrays], bool]
"""Whether arrays have the names, shapes and values that computed ones would."""
Cached = Callable[[str, Callable[[], Arrays], Fits], Arrays]
"""Returns the arrays kept under a key, computing them when there are none that fit."""

FLOAT32_ROUNDOFF = 2.0**-24
"""Unit roundoff: a float32 result of one operation is off by at most this, relatively."""


def uncached(_key: str, compute: Callable[[], Arrays], _fits: Fits) -> Arrays:
    """What is computed, kept nowhere."""
    return compute()


def are_numbers(arrays: Arrays, shapes: Mapping[str, tuple[int | None, ...]]) -> bool:
    """Whether arrays have these names and shapes, None being any length, and no NaN or infinity."""
    return arrays.keys() == shapes.keys() and all(
        array.ndim == len(shape)
        and all(wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True))
        and array.dtype.kind in "fiu"
        and bool(np.isfinite(array).all())
        for array, shape in ((arrays[name], shape) for name, shape in shapes.items())
    )


def multiplied(stored: NDArray[np.generic], factor: float) -> Float32Array:
    """Stored numbers times a factor, rounded as a layer in the stored precision rounds them."""
    if factor == 1:
        return to_float32(stored)
    if stored.dtype == np.float64:
        return (stored.astype(np.float64, copy=False) * factor).astype(np.float32)
    product = to_float32(stored) * np.float32(factor)
    if stored.dtype == np.float16:
        return product.astype(np.float16).astype(np.float32)
    return round_to_bfloat16(product) if stored.dtype == np.uint16 else product


def round_to_bfloat16(numbers: Float32Array) -> Float32Array:
    """Each number's nearest bfloat16, ties to even, still as float32."""
    bits = numbers.view(np.uint32)
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded &= np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


def to_float32(stored: NDArray[np.generic]) -> Float32Array:
    """Upcast stored numbers: uint16 holds raw bfloat16, anything else is a real dtype."""
    if stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32, copy=False)
