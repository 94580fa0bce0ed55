"""Small linear algebra shared by the analyses: unit rows, squared norms, principal axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probe.arrays import Float64Array, FloatArray

_CHUNK_ROWS = 8192
"""Rows that are summed in their own precision before float64 takes over."""


def unit_rows(rows: FloatArray) -> FloatArray:
    """Rows [n, H] scaled to norm 1; a zero row stays zero, so its cosine with anything is 0."""
    squares = np.einsum("nh,nh->n", rows, rows)
    norms = np.sqrt(squares)
    tiny = np.finfo(rows.dtype).tiny
    odd = ~((squares > tiny / np.finfo(rows.dtype).eps) & (squares < np.inf))
    norms[odd] = np.sqrt(squared_norms(rows[odd]))  # their squares leave the range of float32
    return rows / np.where(norms > 0, norms, 1)[:, None]


def squared_norms(rows: FloatArray) -> Float64Array:
    """Squared Euclidean norm of each row of [n, H], summed in float64, [n]."""
    wide = rows.astype(np.float64, copy=False)
    squares: Float64Array = np.einsum("nh,nh->n", wide, wide)
    return squares


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """Directions of largest variance, each with a fixed sign."""

    mean: FloatArray
    """[H]"""
    axes: FloatArray
    """[k, H] unit rows; the largest coordinate of each is positive."""
    variances: Float64Array
    """[k] variance along each axis, largest first."""
    total_variance: float
    """Summed over all H axes."""

    def coordinates(self, rows: FloatArray, first: int) -> FloatArray:
        """Rows [n, H] along the first axes, [n, first]."""
        axes = self.axes[:first]
        return rows @ axes.T - self.mean @ axes.T


def principal_axes(parts: Sequence[FloatArray], k: int) -> PrincipalAxes:
    """The first k principal axes of rows [n, H], from their covariance.

    An axis has no direction of its own; its largest coordinate is made positive, so that the same
    rows give the same picture everywhere (as scikit-learn's `svd_flip` does).

    Args:
        parts: the rows in one array or several, [n₁, H], [n₂, H], …, so that none need be copied.
        k: axes.

    Raises:
        ValueError: fewer than two rows, or k beyond H.
    """
    from scipy.linalg import eigh
    from threadpoolctl import threadpool_limits

    count, width = sum(map(len, parts)), parts[0].shape[1]
    if count < 2 or not 1 <= k <= width:
        raise ValueError(f"expected 2 rows or more and 1 to {width} axes, found {count} and {k}")
    chunks = [
        rows[start : start + _CHUNK_ROWS]
        for rows in parts
        for start in range(0, len(rows), _CHUNK_ROWS)
    ]
    sums: Float64Array = np.zeros(width)
    for chunk in chunks:
        sums += chunk.sum(axis=0)
    mean = (sums / count).astype(parts[0].dtype)
    # The mean is subtracted first: taking it off the products instead would cancel digits.
    total: Float64Array = np.zeros((width, width))
    buffer = np.empty((_CHUNK_ROWS, width), dtype=mean.dtype)
    for chunk in chunks:
        centred = np.subtract(chunk, mean, out=buffer[: len(chunk)])
        total += centred.T @ centred
    covariance = total / (count - 1)
    # So small a matrix gains nothing from threads, and where another program has a core, threads
    # that wait for each other take a hundred times as long.
    with threadpool_limits(1, "blas"):
        variances, vectors = eigh(covariance, subset_by_index=(width - k, width - 1))
    axes = vectors.T[::-1].astype(mean.dtype)
    axes = axes * np.sign(axes[np.arange(k), np.abs(axes).argmax(axis=1)])[:, None]
    return PrincipalAxes(mean, axes, np.maximum(variances[::-1], 0), float(np.trace(covariance)))
