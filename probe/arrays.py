"""The arrays that analyses take and give, how caches keep them, and the rounding of float32."""

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
