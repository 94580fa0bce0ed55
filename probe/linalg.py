"""Small linear algebra shared by the analyses: unit rows, squared norms, Gaussian rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_rows(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rows [n, H] scaled to norm 1; a zero row stays zero, so its cosine with anything is 0."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def squared_norms(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared Euclidean norm of each row of [n, H], summed in float64, [n]."""
    wide = rows.astype(np.float64, copy=False)
    squares: NDArray[np.float64] = np.einsum("nh,nh->n", wide, wide)
    return squares
