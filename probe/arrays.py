"""Names of the arrays that analyses take and give, and the rounding of float32."""

from __future__ import annotations

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

FLOAT32_ROUNDOFF = 2.0**-24
"""Unit roundoff: a float32 result of one operation is off by at most this, relatively."""
