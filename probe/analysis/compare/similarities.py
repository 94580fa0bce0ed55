"""Measures that are products of one long vector per prompt.

Sources: Vu et al. 2022, "SPoT", §4.2 (similarity of task embeddings, a and b); Su et al. 2022, "On
Transferability of Prompt Tuning", §5.1 (Euclidean and cosine, of rows and of the whole).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probe.analysis.compare.distances import square_distances
from probe.arrays import Float64Array, FloatArray
from probe.linalg import unit_rows

CHUNK_BYTES = 64 << 20
"""Of the long vectors, widened to float64 at a time."""


def mean_token_cosine(prompts: Sequence[FloatArray]) -> Float64Array:
    """SPoT (a): cos of the mean rows, [N, N]."""
    return _cosines(np.stack([rows.mean(axis=0, dtype=np.float64) for rows in prompts]))


def mean_pairwise_cosine(prompts: Sequence[FloatArray]) -> Float64Array:
    """SPoT (b), and Su et al. per token: mean of all P × P′ cosines, [N, N].

    The mean of products of unit rows is the product of their means.
    """
    means = np.stack([unit_rows(rows.astype(np.float64)).mean(axis=0) for rows in prompts])
    return np.asarray(means @ means.T, dtype=np.float64)


def flattened_cosine(prompts: Sequence[FloatArray]) -> Float64Array:
    """Su et al.: cos of the prompts as vectors of P · H numbers, [N, N]."""
    products = _products(prompts)
    lengths = np.sqrt(np.diag(products))
    lengths = np.where(lengths > 0, lengths, 1)
    return _bounded(products / lengths / lengths[:, None])


def inverse_euclidean(prompts: Sequence[FloatArray]) -> Float64Array:
    """Su et al.: 1 / (1 + ‖a − b‖) of the prompts as vectors of P · H numbers, [N, N]."""
    products = _products(prompts)
    squares = np.diag(products)
    distances = np.sqrt(square_distances(products, squares, squares))
    np.fill_diagonal(distances, 0)
    return 1 / (1 + distances)


def position_cosine(prompts: Sequence[FloatArray]) -> Float64Array:
    """Mean over positions of the cosine of both prompts' rows there, [N, N]."""
    return _products([unit_rows(rows.astype(np.float64)) for rows in prompts]) / len(prompts[0])


def _cosines(rows: Float64Array) -> Float64Array:
    unit = unit_rows(rows)
    return _bounded(unit @ unit.T)


def _bounded(cosines: FloatArray) -> Float64Array:
    """Rounding may pass 1 by a little."""
    return np.asarray(np.clip(cosines, -1, 1), dtype=np.float64)


def _products(prompts: Sequence[FloatArray]) -> Float64Array:
    """Dot products of the prompts as long vectors, summed in float64, [N, N]."""
    count, (length, width) = len(prompts), prompts[0].shape
    total = np.zeros((count, count))
    step = max(1, CHUNK_BYTES // (8 * count * width))
    for start in range(0, length, step):
        part = np.stack([rows[start : start + step] for rows in prompts])
        flat = part.reshape(count, -1).astype(np.float64)
        total += flat @ flat.T
    return total
