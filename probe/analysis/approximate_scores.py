"""Scores of queries and table rows, chunk by chunk, with a proven bound on their error.

Each kind of product returns scores [Q, c] and how far they may lie from q·e − bias: an absolute
error per query and a relative rounding of the result. Search only compares scores with a floor, so
a bound is all it needs to be exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from probe.arrays import FLOAT32_ROUNDOFF, BoolArray, Float32Array, IntArray, to_float32
from probe.linalg import squared_norms
from probe.vocabulary import Rows, require_finite

MEMORY_BYTES = 192 << 20
"""Budget of one chunk of the table and its scores."""
TORCH_FLOPS = 2e11
"""Work from which importing torch for bfloat16 pays."""

U16 = 2.0**-8  # unit roundoff of bfloat16


class Product(Protocol):
    """Scores of fixed queries [Q, H] against any rows."""

    rounding: np.float32
    """Bound on the relative error of rounding a finished score."""

    def __call__(
        self, rows: Float32Array, bias: Float32Array, longest: float
    ) -> tuple[Any, Float32Array]:
        """Scores of rows [c, H], none longer than `longest`, and their absolute error [Q]."""
        ...

    def below_kth(self, scores: Any, k: int) -> Float32Array:
        """A bound at or just below the k-th largest score of each query, [Q]."""
        ...

    def at_least(self, scores: Any, floor: Float32Array) -> tuple[IntArray, IntArray, Float32Array]:
        """Queries, columns and values of the scores that may reach their query's floor [Q]."""
        ...


def product_for(queries: Float32Array, n_rows: int) -> Product:
    """The fastest kind of product this machine offers for Q queries and V rows."""
    if 2.0 * queries.size * n_rows >= TORCH_FLOPS:
        import torch

        if torch.cuda.is_available():
            return CudaProduct(queries)
        if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
            return Bfloat16Product(queries)
    return Float32Product(queries)


class Float32Product:
    """float32 products: |fl(q·e) − q·e| ≤ H u ‖q‖ ‖e‖ to first order (Higham 2002, §3.1)."""

    rounding = np.float32(0)

    def __init__(self, queries: Float32Array) -> None:
        self.queries = queries
        self.growth = 1.01 * queries.shape[1] * FLOAT32_ROUNDOFF * np.linalg.norm(queries, axis=1)

    def __call__(
        self, rows: Float32Array, bias: Float32Array, longest: float
    ) -> tuple[Float32Array, Float32Array]:
        """Scores [Q, c] and their absolute error [Q]."""
        scores = self._multiply(rows)
        scores -= bias
        return scores, self.growth * longest + 2 * FLOAT32_ROUNDOFF * (longest + np.abs(bias).max())

    def _multiply(self, rows: Float32Array) -> Float32Array:
        return self.queries @ rows.T

    def below_kth(self, scores: Float32Array, k: int) -> Float32Array:
        """A bound at or just below each query's k-th largest score, [Q]."""
        whole = scores[:, : _whole_groups(scores.shape[1], k)]
        return _kth_largest(whole.reshape(len(scores), -1, _groups(k)).max(axis=1), k)

    def at_least(
        self, scores: Float32Array, floor: Float32Array
    ) -> tuple[IntArray, IntArray, Float32Array]:
        """Queries, columns and values of the scores that reach their query's floor."""
        q, columns = _where(scores >= floor[:, None])
        return q, columns, scores[q, columns]


class CudaProduct(Float32Product):
    """The same on a GPU; torch keeps float32 products in float32 unless told otherwise."""

    def _multiply(self, rows: Float32Array) -> Float32Array:
        import torch

        queries = torch.from_numpy(self.queries).cuda()
        scores: Float32Array = (queries @ torch.from_numpy(rows).cuda().T).cpu().numpy()
        return scores


class Bfloat16Product:
    """bfloat16 products accumulated in float32.

    With q = q̂ + δq and e = ê + δe, |q·e − q̂·ê| ≤ ‖δq‖ ‖e‖ + ‖q̂‖ ‖δe‖, where both residuals are
    measured, not assumed; to it comes the float32 accumulation. The bias is three more columns, its
    bfloat16 digits, so it is added in float32 before the result is rounded.
    """

    rounding = np.float32(1.01 * U16)

    def __init__(self, queries: Float32Array) -> None:
        import torch

        wide = torch.from_numpy(queries)
        narrow = wide.bfloat16()
        self.residual = (wide - narrow.float()).norm(dim=1).numpy()
        self.lengths = narrow.float().norm(dim=1).numpy()
        self.growth = 2.02 * (queries.shape[1] + 3) * FLOAT32_ROUNDOFF
        self.queries = torch.cat([narrow, torch.ones(len(wide), 3, dtype=torch.bfloat16)], dim=1)

    def __call__(
        self, rows: Float32Array, bias: Float32Array, longest: float
    ) -> tuple[Any, Float32Array]:
        """Scores [Q, c] as a bfloat16 tensor and their absolute error [Q] before rounding."""
        import torch

        wide = torch.from_numpy(rows)
        narrow = torch.empty(len(wide), wide.shape[1] + 3, dtype=torch.bfloat16)
        narrow[:, :-3] = wide
        residual = float(torch.linalg.vector_norm(wide - narrow[:, :-3], dim=1).max())
        rest = -torch.from_numpy(bias)
        for column in (-3, -2, -1):
            narrow[:, column] = rest
            rest = rest - narrow[:, column].float()
        accumulated = self.lengths * (longest + residual) + float(np.abs(bias).max())
        error = 1.001 * (self.residual * longest + self.lengths * residual)
        return self.queries @ narrow.T, error + self.growth * accumulated

    def below_kth(self, scores: Any, k: int) -> Float32Array:
        """A bound at or just below each query's k-th largest score, [Q]."""
        whole = scores[:, : _whole_groups(scores.shape[1], k)]
        maxima = whole.reshape(len(scores), -1, _groups(k)).amax(dim=1)
        return _kth_largest(maxima.float().numpy(), k)

    def at_least(self, scores: Any, floor: Float32Array) -> tuple[IntArray, IntArray, Float32Array]:
        """Queries, columns and values of the scores that may reach their query's floor."""
        import torch

        lowered = floor - 2 * U16 * np.abs(floor)  # so that rounding it cannot raise it
        narrow = torch.from_numpy(lowered).bfloat16()
        q, columns = _where((scores >= narrow[:, None]).numpy())
        values: Float32Array = (
            scores[torch.from_numpy(q), torch.from_numpy(columns)].float().numpy()
        )
        return q, columns, values


def _where(hits: BoolArray) -> tuple[IntArray, IntArray]:
    q, columns = np.divmod(np.flatnonzero(hits), hits.shape[1])
    return q, columns


def _groups(k: int) -> int:
    return 32 * k


def _whole_groups(columns: int, k: int) -> int:
    return columns // _groups(k) * _groups(k)


def _kth_largest(maxima: Float32Array, k: int) -> Float32Array:
    """The k-th largest of the maxima of disjoint groups of columns.

    It cannot exceed the k-th largest of all, and finding it costs one pass over the scores.
    """
    kth: Float32Array = np.partition(maxima, -k, axis=1)[:, -k]
    return kth


@dataclass(frozen=True, eq=False)
class Chunk:
    """Approximate scores of consecutive rows."""

    start: int
    scores: Any
    """[Q, c], in whatever the product works with."""
    error: Float32Array
    """[Q] bound on |score − exact|, before the score was rounded."""
    product: Product

    def lowest(self, values: Float32Array, q: IntArray | slice = slice(None)) -> Float32Array:
        """What the exact scores behind these values are at least."""
        below = values - self.product.rounding * np.abs(values) - self.error[q]
        return below.astype(np.float32, copy=False)


def score_chunks(
    queries: Float32Array, table: Rows, metric: str, allowed: BoolArray
) -> Iterator[Chunk]:
    """Scores that rank rows as the metric does, chunk by chunk.

    Long queries are scaled down so that nothing overflows: by a power of two, which rounds nothing,
    or to unit length for `cosine` and `dot`, whose order does not depend on it. For `l2` the score
    is a (q·e − ‖e‖²/2) plus a constant, which orders the rows of each query as the distance does.
    """
    lengths = np.sqrt(squared_norms(queries))
    scale = float(2.0 ** -np.ceil(np.log2(max(lengths.max(), 1))))
    if metric == "l2":
        scaled = (queries.astype(np.float64) * scale).astype(np.float32)
    else:
        scaled = (queries / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)
    product = product_for(scaled, len(table))
    norm_rounding = (
        table.shape[1] + 4
    ) * FLOAT32_ROUNDOFF  # of float32 norms and of what is scaled by them
    shift = None
    step = max(1024, MEMORY_BYTES // (8 * table.shape[1] + 9 * len(queries)))
    for start in range(0, len(table), step):
        rows = to_float32(table[start : start + step])
        squares = np.einsum("nh,nh->n", rows, rows)
        require_finite(rows, squares, start)
        norms = np.sqrt(squares)
        bias = np.zeros(len(rows), dtype=np.float32)
        if metric == "l2":
            bias = scale / 2 * squares
            shift = bias.mean() if shift is None else shift
        elif metric == "cosine":
            rows = np.divide(rows, np.where(norms > 0, norms, 1)[:, None], dtype=np.float32)
            norms = np.minimum(norms, 1)
        longest = float(norms.max()) * (1 + norm_rounding)
        scores, error = product(rows, bias - (shift or np.float32(0)), longest)
        scores[:, ~allowed[start : start + step]] = -np.inf
        error = error + np.float32(norm_rounding * (longest + 2 * bias.max()))
        yield Chunk(start, scores, error, product)
