"""Measures made of the distances between every two rows of two prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from probe.arrays import Float64Array, FloatArray, IntArray

BLOCK_ROWS = 1 << 15
"""Rows of later prompts that one prompt is measured against at a time."""
_ROUNDING = 1e-13
"""Relative error of a squared distance taken from products: below it, rows are the same."""


def mean_pairwise_inverse_euclidean(prompts: Sequence[FloatArray]) -> Float64Array:
    """1 / (1 + mean distance over all P × P′ pairs of rows), [N, N]; with itself it is not 1.

    Source: Su et al. 2022, "On Transferability of Prompt Tuning", §5.1, per token.
    """
    lengths = np.array([len(rows) for rows in prompts])

    def mean(block: Float64Array, starts: IntArray, sizes: IntArray) -> Float64Array:
        return np.asarray(np.add.reduceat(block.sum(axis=0), starts) / (sizes * len(block)))

    return 1 / (1 + _by_segments(prompts, lengths, mean, itself=True))


def chamfer(prompts: Sequence[FloatArray]) -> Float64Array:
    """Mean distance of a row to the other prompt's nearest row, mean of both ways, [N, N].

    Source: Barrow et al. 1977, "Parametric correspondence and chamfer matching", as distances
    (not squares) and averaged over rows and ways, so that lengths may differ.
    """
    lengths = np.array([len(rows) for rows in prompts])

    def both_ways(block: Float64Array, starts: IntArray, sizes: IntArray) -> Float64Array:
        there = np.minimum.reduceat(block, starts, axis=1).mean(axis=0)
        back = np.add.reduceat(block.min(axis=0), starts) / sizes
        return np.asarray((there + back) / 2)

    return _by_segments(prompts, lengths, both_ways, itself=False)


def transport(prompts: Sequence[FloatArray]) -> Float64Array:
    """Exact optimal transport cost between the rows, uniform weights, Euclidean cost, [N, N].

    The 1-Wasserstein distance of the two sets of rows (Flamary et al. 2021, "POT").
    """
    import ot

    lengths = np.array([len(rows) for rows in prompts])
    weights = {int(n): np.full(n, 1 / n) for n in lengths}

    def costs(block: Float64Array, starts: IntArray, _: IntArray) -> Float64Array:
        parts = np.split(block, starts[1:], axis=1)
        here = weights[len(block)]
        return np.array([_transport_cost(ot, here, weights[part.shape[1]], part) for part in parts])

    return _by_segments(prompts, lengths, costs, itself=False)


def square_distances(
    products: Float64Array, left: Float64Array, right: Float64Array
) -> Float64Array:
    """‖a − b‖² from products a · b and squared norms, exactly 0 where rounding hides the rest."""
    size = left[:, None] + right
    squares = size - 2 * products
    return np.where(squares > _ROUNDING * size, squares, 0)


def _transport_cost(ot: Any, here: Float64Array, there: Float64Array, costs: Float64Array) -> float:
    return float(ot.emd2(here, there, np.ascontiguousarray(costs), numItermax=10_000_000))


def _by_segments(
    prompts: Sequence[FloatArray],
    lengths: IntArray,
    reduce: Callable[[Float64Array, IntArray, IntArray], Float64Array],
    *,
    itself: bool,
) -> Float64Array:
    """The symmetric matrix of a number per pair of prompts, from blocks of row distances.

    Args:
        prompts: N arrays [P, H].
        lengths: [N] their P.
        reduce: distances [P, rows of several prompts], where each of these starts, and its P → one
            number per prompt.
        itself: whether a prompt is measured against itself; 0 stands there otherwise.
    """
    wide = [rows.astype(np.float64) for rows in prompts]
    # The distances are the same from anywhere; near the rows' mean they lose fewer digits.
    mean = np.concatenate(wide).mean(axis=0)
    wide = [rows - mean for rows in wide]
    squares = [np.einsum("ph,ph->p", rows, rows) for rows in wide]
    matrix = np.zeros((len(prompts), len(prompts)))
    for i, rows in enumerate(wide):
        for part in _batches(lengths, first=i if itself else i + 1):
            others = np.concatenate(wide[part])
            norms = np.concatenate(squares[part])
            block = np.sqrt(square_distances(rows @ others.T, squares[i], norms))
            sizes = lengths[part]
            matrix[i, part] = reduce(block, np.cumsum(sizes) - sizes, sizes)
    return matrix + np.triu(matrix, 1).T


def _batches(lengths: IntArray, *, first: int) -> Iterator[slice]:
    """Consecutive prompts of at most so many rows together, one at least."""
    while first < len(lengths):
        fitting = int(np.searchsorted(np.cumsum(lengths[first:]), BLOCK_ROWS, side="right"))
        end = first + max(1, fitting)
        yield slice(first, end)
        first = end
