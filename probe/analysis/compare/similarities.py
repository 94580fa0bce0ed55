"""Measures between prompts: products of one long vector per prompt, and distances between rows.

Sources: Vu et al. 2022, "SPoT", §4.2 (similarity of task embeddings, a and b); Su et al. 2022, "On
Transferability of Prompt Tuning", §5.1 (Euclidean and cosine, of rows and of the whole).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from probe.arrays import Float64Array, FloatArray, IntArray
from probe.linalg import unit_rows

CHUNK_BYTES = 64 << 20
"""Of the long vectors, widened to float64 at a time."""
_MIN_LENGTH = 4
"""Positions from which the debiased estimator is defined; `probe.measures` says so too."""


def mean_token_cosine(prompts: Sequence[FloatArray]) -> Float64Array:
    """SPoT (a): cos of the mean rows, [N, N]."""
    unit = unit_rows(np.stack([rows.mean(axis=0, dtype=np.float64) for rows in prompts]))
    return _bounded(unit @ unit.T)


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


def cka(prompts: Sequence[FloatArray]) -> Float64Array:
    """Linear centred kernel alignment with the debiased HSIC, [N, N].

    CKA is HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with K = X Xᵀ (Kornblith et al. 2019, "Similarity
    of Neural Network Representations Revisited", §3); HSIC is the unbiased estimator of Song et al.
    2012, "Feature Selection via Dependence Maximization", eq. 5, which is the inner product of the
    U-centred matrices over P(P − 3) (Székely & Rizzo 2014). Widths may differ. Debiased values may
    fall below 0; a prompt whose rows are all alike aligns with nothing.

    Args:
        prompts: N arrays [P, H] of one P ≥ 4.

    Raises:
        ValueError: fewer than 4 positions.
    """
    if len(prompts[0]) < _MIN_LENGTH:
        raise ValueError(
            f"cka needs {_MIN_LENGTH} positions or more for its debiased estimator, found "
            f"{len(prompts[0])}: use another measure"
        )
    centred = np.stack([_u_centred(rows).ravel() for rows in prompts])
    products = centred @ centred.T
    lengths = np.sqrt(np.diag(products))
    # Rounding alone must not pass for structure where all rows are alike.
    sizes = np.array([np.square(rows, dtype=np.float64).sum() for rows in prompts])
    real = lengths > 1e-12 * sizes
    scale = np.where(real, lengths, np.inf)
    return np.asarray(np.clip(products / scale / scale[:, None], -1, 1), dtype=np.float64)


def _u_centred(rows: FloatArray) -> Float64Array:
    """Székely and Rizzo's centring of the linear kernel, [P, P], diagonal 0."""
    wide = rows.astype(np.float64)
    wide = wide - wide.mean(axis=0)  # changes nothing but the digits that are kept
    kernel = wide @ wide.T
    np.fill_diagonal(kernel, 0)
    count = len(kernel)
    sums = kernel.sum(axis=0) / (count - 2)
    total = kernel.sum() / ((count - 1) * (count - 2))
    kernel = kernel - sums - sums[:, None] + total
    np.fill_diagonal(kernel, 0)
    return np.asarray(kernel, dtype=np.float64)


def neuron_overlap(activations: FloatArray) -> Float64Array:
    """Cosine of the binarised activations (> 0), [N, L, F], of every two prompts, [N, N].

    Source: Su et al. 2022, "On Transferability of Prompt Tuning", §5.2 (overlapping rate of
    activated neurons). Of a gated unit (SwiGLU) the gate is meant.

    Raises:
        ValueError: there is no layer or no neuron.
    """
    if activations.ndim != 3 or 0 in activations.shape:
        raise ValueError(
            f"activations must be [N, L, F] of one layer or more, found {activations.shape}: this "
            "model shows no feed-forward activations, or the layers asked for are not there"
        )
    fires = unit_rows((activations > 0).reshape(len(activations), -1).astype(np.float64))
    return np.asarray(np.clip(fires @ fires.T, 0, 1), dtype=np.float64)


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
        pairs = ((weights[part.shape[1]], np.ascontiguousarray(part)) for part in parts)
        here, most = weights[len(block)], 10_000_000
        return np.array([ot.emd2(here, there, part, numItermax=most) for there, part in pairs])

    return _by_segments(prompts, lengths, costs, itself=False)


def square_distances(
    products: Float64Array, left: Float64Array, right: Float64Array
) -> Float64Array:
    """‖a − b‖² from products a · b and squared norms, exactly 0 where rounding hides the rest."""
    size = left[:, None] + right
    squares = size - 2 * products
    return np.where(squares > _ROUNDING * size, squares, 0)


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
