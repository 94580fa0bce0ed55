"""A row as the weighted sum of a few tokens: orthogonal matching pursuit over a table.

Pati et al. 1993. scikit-learn's `orthogonal_mp` copies the table for every row; here many rows
share each pass over it, part by part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probe.arrays import BoolArray, Float32Array, Float64Array, FloatArray, IntArray, to_float32
from probe.linalg import squared_norms, unit_rows
from probe.vocabulary import Rows

_ROWS_AT_ONCE = 8192
_ROUNDING = 1e-5
"""Of a row's norm: a remainder that is shorter is nothing."""


@dataclass(frozen=True, eq=False)
class SparseSums:
    """Q rows as sums of k tokens each."""

    ids: IntArray
    """[Q, k], in the order they were taken; −1 where nothing was left to explain, or no token that
    would explain more."""
    weights: Float64Array
    """[Q, k] of the tokens' unit vectors, in the sum of all k; 0 where none."""
    shares: Float64Array
    """[Q, k] share of the squared norm that the first 1 … k tokens explain, rising."""


def matching_pursuit(
    queries: Float32Array, table: Rows, k: int, *, allowed: BoolArray | None = None
) -> SparseSums:
    """Each row as the sum of the k tokens that explain most of it, taken one after another.

    A step takes the token with the largest absolute cosine with what is left, and fits all weights
    anew.

    Args:
        queries: [Q, H].
        table: [V, H].
        k: tokens of each sum; at most H.
        allowed: [V], tokens that may be taken; all where None.
    """
    k = min(k, queries.shape[1])
    wide = queries.astype(np.float64)
    lengths = squared_norms(wide)
    left, basis = wide.copy(), np.zeros((len(wide), k, wide.shape[1]))
    ids, units = np.full((len(wide), k), -1), np.zeros_like(basis)
    shares = np.zeros((len(wide), k))
    for step in range(k):
        found = _strongest(left.astype(np.float32), table, allowed)
        new = unit_rows(to_float32(table[found]).astype(np.float64))
        over: FloatArray = new - _within(new, basis)
        # What tokens span already is nothing but rounding: the allowed ones may be fewer than k.
        done = squared_norms(left) <= _ROUNDING**2 * lengths
        done |= squared_norms(over) <= _ROUNDING**2
        over = unit_rows(over - _within(over, basis))  # twice, so that rounding does not add up
        over[done] = new[done] = 0
        ids[~done, step] = found[~done]
        units[:, step], basis[:, step] = new, over
        left -= np.einsum("qh,qh->q", left, over)[:, None] * over
        shares[:, step] = 1 - squared_norms(left) / np.where(lengths > 0, lengths, 1)
    weights = np.einsum("qh,qhk->qk", wide, np.linalg.pinv(units))
    return SparseSums(ids, weights, np.clip(shares, 0, 1))


def _within(rows: FloatArray, basis: Float64Array) -> FloatArray:
    """The part of each row [Q, H] that lies in its own orthonormal basis [Q, k, H]."""
    along = np.einsum("qh,qkh->qk", rows, basis)
    found: Float64Array = np.einsum("qk,qkh->qh", along, basis)
    return found


def _strongest(rows: Float32Array, table: Rows, allowed: BoolArray | None) -> IntArray:
    """The token with the largest absolute cosine with each row, [Q]."""
    best, ids = np.full(len(rows), -1.0), np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(table), _ROWS_AT_ONCE):
        part = unit_rows(to_float32(table[start : start + _ROWS_AT_ONCE])).astype(np.float32)
        scores = np.abs(rows @ part.T)
        if allowed is not None:
            scores[:, ~allowed[start : start + _ROWS_AT_ONCE]] = -1
        at = scores.argmax(1)
        found = scores[np.arange(len(rows)), at]
        ids[found > best] = at[found > best] + start
        best = np.maximum(best, found)
    return ids
