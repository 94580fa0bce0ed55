"""Which rows of a table lie nearest to a query? Exact for every metric, within a memory budget.

A fast pass computes approximate scores with a proven error bound and keeps every row that could
still be among the k best; the few rows kept are then scored in float64. The fast pass is float32
for small problems and bfloat16 for large ones on processors that multiply it natively, and the
answer is the same: the order of the float64 scores, ties to the lower id.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe.analysis.approximate_scores import Chunk, score_chunks
from probe.arrays import BoolArray, Float32Array, Float64Array, IntArray, to_float32
from probe.errors import require_choice
from probe.linalg import squared_norms
from probe.texts import counted
from probe.vocabulary import Rows, Vocabulary

Metric = Literal["l2", "cosine", "dot"]
HIGHER_IS_BETTER: dict[Metric, bool] = {"l2": False, "cosine": True, "dot": True}
DEFAULT_METRIC: Metric = "cosine"
METRIC_NAMES: dict[Metric, str] = {
    "cosine": "cosine similarity",
    "l2": "L2 distance",
    "dot": "dot product",
}

PENDING_ROWS = 1 << 22
"""Candidates held before they are ranked and dropped."""
EXACT_ROWS = 4096
"""Candidates scored at a time in float64, to stay in cache."""
MIN_CHUNK_PER_K = 64
"""Chunk length per neighbour wanted from which bounding the k-th score first pays."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k best rows of a table for each of Q queries, best first."""

    ids: IntArray
    """[Q, k] row ids."""
    scores: Float64Array
    """[Q, k]: distance (`l2`), cosine or dot product, computed in float64."""
    metric: Metric

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger score means nearer."""
        return HIGHER_IS_BETTER[self.metric]


def nearest_tokens(
    queries: Float32Array,
    vocabulary: Vocabulary,
    metric: Metric = DEFAULT_METRIC,
    *,
    k: int = 5,
    allowed: BoolArray | None = None,
) -> Neighbours:
    """The k nearest vocabulary tokens of each query row.

    `l2` is argmin ‖p − e‖₂ (Khashabi et al. 2021, §3), `cosine` that of Lester et al. 2021, §7.

    Args:
        queries: [Q, H].
        vocabulary: table [V, H].
        metric: what near means.
        k: neighbours per query; fewer come back where fewer rows are allowed.
        allowed: [V], rows that may be neighbours; all where None.

    Raises:
        ValueError: widths differ, k < 1, the metric is unknown or no row is allowed.
    """
    return nearest_rows(queries, vocabulary.search_table, metric, k=k, allowed=allowed)


def nearest_rows(
    queries: Float32Array,
    table: Rows,
    metric: Metric = DEFAULT_METRIC,
    *,
    k: int = 5,
    allowed: BoolArray | None = None,
) -> Neighbours:
    """The k nearest rows of a stored table [V, H] for each query [Q, H]; see `nearest_tokens`."""
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    _check(queries, table, metric, k)
    if allowed is None:
        allowed = np.ones(len(table), dtype=bool)
    k = min(k, int(np.count_nonzero(allowed)))
    if k == 0:
        raise ValueError("no row of the table is allowed: loosen the filters")
    found = _Best(queries, table, metric, k)
    for chunk in score_chunks(queries, table, metric, allowed):
        found.offer(chunk)
    return found.ranked()


def nearest_others(
    query: Float32Array, table: Rows, metric: Metric = DEFAULT_METRIC, *, itself: int, k: int = 5
) -> list[tuple[int, float]]:
    """The k nearest rows of a table [V, H] to a query [1, H] and their scores, best first.

    The row `itself` of the table is left out; −1 leaves out none.
    """
    found = nearest_rows(query, table, metric, k=min(k + 1, len(table)))
    pairs = zip(found.ids[0].tolist(), found.scores[0].tolist(), strict=True)
    return [(row, score) for row, score in pairs if row != itself][:k]


def best_others(table: Rows, which: IntArray, metric: Metric) -> Float64Array:
    """The score of the row nearest to each of some rows of a table [V, H] but itself, [n].

    A row may lose its own first place to an equal row or, by dot product, to a longer one.
    """
    near = nearest_rows(to_float32(table[which]), table, metric, k=2)
    return np.where(near.ids[:, 0] == which, near.scores[:, 1], near.scores[:, 0])


def assign_one_to_one(
    queries: Float32Array,
    vocabulary: Vocabulary,
    metric: Metric = DEFAULT_METRIC,
    *,
    allowed: BoolArray | None = None,
) -> Neighbours:
    """Nearest tokens under the rule that no token is used twice: best total score, k = 1.

    An optimal assignment uses only rows among each query's Q nearest, so solving it there is exact.

    Raises:
        ValueError: as `nearest_tokens`, or fewer tokens are allowed than there are queries.
    """
    from scipy.optimize import linear_sum_assignment

    near = nearest_tokens(queries, vocabulary, metric, k=len(queries), allowed=allowed)
    if near.ids.shape[1] < len(queries):
        raise ValueError(
            f"one-to-one needs {counted(len(queries), 'allowed token')}, found {near.ids.shape[1]}"
        )
    ids, columns = np.unique(near.ids, return_inverse=True)
    cost = -near.scores if near.higher_is_better else near.scores
    worse_than_any = (np.ptp(cost) + 1) * (len(queries) + 1) + cost.max()
    costs = np.full((len(queries), len(ids)), worse_than_any)
    np.put_along_axis(costs, columns.reshape(near.ids.shape), cost, axis=1)
    rows, chosen = linear_sum_assignment(costs)
    scores = -costs[rows, chosen] if near.higher_is_better else costs[rows, chosen]
    return Neighbours(ids[chosen][:, None], scores[:, None], metric)


def require_widths(prompts: Sequence[Float32Array], vocabulary: Vocabulary) -> None:
    """Refuse prompts [P, H] whose rows are not as wide as the table's, or none.

    Raises:
        ValueError: there are none, or a width differs.
    """
    widths = {rows.shape[1] for rows in prompts} | {vocabulary.width}
    if not prompts or len(widths) > 1:
        raise ValueError(
            f"prompt rows must have the table's width {vocabulary.width}, found {sorted(widths)}"
        )


def _check(queries: Float32Array, table: Rows, metric: str, k: int) -> None:
    require_choice("metric", metric, HIGHER_IS_BETTER)
    if queries.ndim != 2 or len(table.shape) != 2 or queries.shape[1] != table.shape[1]:
        raise ValueError(
            f"queries [Q, H] and table [V, H] must have one width, found {queries.shape} and "
            f"{table.shape}"
        )
    if k < 1:
        raise ValueError(f"k must be at least 1, found {k}")


class _Best:
    """Rows that could still be among the k best of each query, as chunks of scores arrive."""

    def __init__(self, queries: Float32Array, table: Rows, metric: Metric, k: int) -> None:
        self.queries, self.table, self.metric, self.k = queries, table, metric, k
        self.lower_bounds = np.full((len(queries), k), -np.inf, dtype=np.float32)
        """k largest values of (score − its error) so far: the smallest of them bounds the k-th
        best score from below."""
        self.pending: list[tuple[IntArray, IntArray]] = []

    def offer(self, chunk: Chunk) -> None:
        """Take what a chunk may add."""
        floor = self.lower_bounds.min(axis=1)
        if not np.isfinite(floor).all() and chunk.scores.shape[1] >= MIN_CHUNK_PER_K * self.k:
            floor = np.maximum(floor, chunk.lowest(chunk.product.below_kth(chunk.scores, self.k)))
        q, columns, values = chunk.product.at_least(chunk.scores, floor - chunk.error)
        kept = np.isfinite(values)  # rows that are not allowed score −inf
        q, columns, values = q[kept], columns[kept], values[kept]
        self._raise_bounds(q, chunk.lowest(values, q))
        self.pending.append((q, columns + chunk.start))
        if sum(len(ids) for _, ids in self.pending) > PENDING_ROWS:
            ranked = self.ranked()
            known = ranked.ids.ravel() >= 0
            rows = np.repeat(np.arange(len(self.queries)), self.k)
            self.pending = [(rows[known], ranked.ids.ravel()[known])]

    def _raise_bounds(self, q: IntArray, values: Float32Array) -> None:
        counts = np.bincount(q, minlength=len(self.queries))
        padded = np.full((len(counts), counts.max(initial=0)), -np.inf, dtype=np.float32)
        padded[q, rank_in_group(counts)] = values
        together = np.concatenate([self.lower_bounds, padded], axis=1)
        self.lower_bounds = np.partition(together, -self.k, axis=1)[:, -self.k :]

    def ranked(self) -> Neighbours:
        """The candidates' float64 scores, sorted, ties to the lower id; ids are −1 where none."""
        q = np.concatenate([rows for rows, _ in self.pending])
        ids = np.concatenate([ids for _, ids in self.pending])
        scores = _exact_scores(self.queries, self.table, self.metric, q, ids)
        order = np.lexsort((ids, -scores if HIGHER_IS_BETTER[self.metric] else scores, q))
        q, ids, scores = q[order], ids[order], scores[order]
        rank = rank_in_group(np.bincount(q, minlength=len(self.queries)))
        kept = rank < self.k
        best_ids = np.full(self.lower_bounds.shape, -1, dtype=np.int64)
        best_scores = np.full(self.lower_bounds.shape, np.nan)
        best_ids[q[kept], rank[kept]] = ids[kept]
        best_scores[q[kept], rank[kept]] = scores[kept]
        return Neighbours(best_ids, best_scores, self.metric)


def rank_in_group(counts: IntArray) -> IntArray:
    """0, 1, … within each run of equal keys, given the length of every run."""
    ranks: IntArray = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def _exact_scores(
    queries: Float32Array, table: Rows, metric: Metric, q: IntArray, ids: IntArray
) -> Float64Array:
    """Float64 scores of the pairs (query q[i], row ids[i]), [n].

    Identical rows get identical scores: every pair is summed in the same order.
    """
    wide = queries.astype(np.float64)
    lengths = np.sqrt(squared_norms(wide))

    def score(part: slice) -> Float64Array:
        rows: Float64Array = to_float32(table[ids[part]]).astype(np.float64)
        if metric == "l2":
            rows -= wide[q[part]]
            return np.sqrt(squared_norms(rows))
        products: Float64Array = np.einsum("nh,nh->n", rows, wide[q[part]])
        if metric == "dot":
            return products
        norms = np.sqrt(squared_norms(rows)) * lengths[q[part]]
        return products / np.where(norms > 0, norms, 1)

    parts = [slice(start, start + EXACT_ROWS) for start in range(0, len(q), EXACT_ROWS)]
    if len(parts) == 1:
        return score(parts[0])
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # NumPy works outside the lock
        return np.concatenate(list(threads.map(score, parts)))
