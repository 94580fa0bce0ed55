"""Reference samples of a table: held-out tokens, rows like the vocabulary, rows of any direction.

The best score of a row s·u, u its unit direction, depends on s in a simple way: the cosine not at
all, the dot product linearly, and for `l2` through max over tokens of (s u·e − ‖e‖²/2), the highest
of one line per token, of which only a few dozen can ever be highest. So a reference is computed
once per table, kept by its fingerprint, and read off exactly at any norm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probe.analysis.approximate_scores import MEMORY_BYTES
from probe.analysis.neighbours import Metric, best_others, rank_in_group
from probe.arrays import Arrays, BoolArray, Float32Array, Float64Array, are_numbers, to_float32
from probe.linalg import squared_norms, unit_rows
from probe.vocabulary import Rows

TOKEN_SAMPLE = 2000
"""Tokens of reference (a)."""
RANDOM_SAMPLE = 1000
"""Rows of references (b) and (c): the 97.5th percentile is then known to half a percent."""


@dataclass(frozen=True, eq=False)
class RandomRows:
    """Best scores of n drawn rows, at any norm."""

    metric: Metric
    lines: Float64Array
    """`l2`: [n, m, 2] slopes and intercepts of the lines that can be highest; else [n, 1, 2] with
    the best score per unit of norm (`dot`) or at every norm (`cosine`) in both places."""

    def best(self, norm: float) -> Float64Array:
        """Best score of each row scaled to `norm`, [n]."""
        slopes, intercepts = self.lines[:, :, 0], self.lines[:, :, 1]
        if self.metric != "l2":
            return slopes[:, 0] * (norm if self.metric == "dot" else 1)
        highest: Float64Array = (slopes * norm + intercepts).max(axis=1)
        return np.sqrt(np.maximum(norm**2 - 2 * highest, 0))


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference samples of one table under one metric and filter."""

    metric: Metric
    vocabulary: Float64Array
    """[n] best scores of sampled tokens against the other tokens."""
    chance: RandomRows
    isotropic: RandomRows
    norms: Float64Array
    """[V'] norms of the allowed rows, ascending."""

    @staticmethod
    def from_arrays(arrays: Arrays, metric: Metric) -> Reference:
        """The reference that `to_arrays` wrote."""
        wide = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
        return Reference(
            metric,
            wide["vocabulary"],
            RandomRows(metric, wide["chance"]),
            RandomRows(metric, wide["isotropic"]),
            wide["norms"],
        )

    def to_arrays(self) -> Arrays:
        """The reference as plain arrays, for a cache."""
        return {
            "vocabulary": self.vocabulary,
            "chance": self.chance.lines,
            "isotropic": self.isotropic.lines,
            "norms": self.norms,
        }


def is_reference(arrays: Arrays, allowed: int) -> bool:
    """Whether arrays may be the reference of so many allowed rows."""
    lines = (RANDOM_SAMPLE, None, 2)
    sample = min(TOKEN_SAMPLE, allowed)
    shapes = {"vocabulary": (sample,), "chance": lines, "isotropic": lines, "norms": (allowed,)}
    return are_numbers(arrays, shapes) and all(array.size for array in arrays.values())


def sample_reference(
    table: Rows, metric: Metric, *, allowed: BoolArray, rng: np.random.Generator
) -> Reference:
    """Draw the three reference samples of a table.

    Raises:
        ValueError: fewer than two rows are allowed.
    """
    ids = np.flatnonzero(allowed)
    if len(ids) < 2:
        raise ValueError(f"controls need at least 2 allowed tokens, found {len(ids)}")
    rows = to_float32(table[slice(None) if len(ids) == len(table) else ids])
    squares = squared_norms(rows)
    chosen = rng.choice(len(rows), size=min(TOKEN_SAMPLE, len(rows)), replace=False)
    return Reference(
        metric,
        vocabulary=best_others(rows, chosen, metric),
        chance=_random_rows(rows, squares, like_vocabulary(rows, RANDOM_SAMPLE, rng), metric),
        isotropic=_random_rows(
            rows, squares, rng.standard_normal((RANDOM_SAMPLE, rows.shape[1])), metric
        ),
        norms=np.sort(np.sqrt(squares)),
    )


def like_vocabulary(rows: Float32Array, n: int, rng: np.random.Generator) -> Float64Array:
    """Gaussian rows with the mean and covariance of the table, [n, H]."""
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean.astype(np.float32)
    if len(rows) <= rows.shape[1]:  # as strict filters leave them: the covariance has no full rank
        return _mixtures(mean, centred, n, rng)
    covariance = (centred.T @ centred).astype(np.float64) / len(rows)
    # Rounding can leave a rank-deficient covariance slightly indefinite: lift its diagonal.
    covariance[np.diag_indices_from(covariance)] += 1e-6 * np.trace(covariance) / len(covariance)
    try:
        return rng.multivariate_normal(
            mean, covariance, size=n, method="cholesky", check_valid="ignore"
        )
    except np.linalg.LinAlgError:  # nothing has been drawn yet
        return _mixtures(mean, centred, n, rng)


def _mixtures(
    mean: Float64Array, centred: Float32Array, n: int, rng: np.random.Generator
) -> Float64Array:
    """Gaussian rows with a mean [H] and the covariance of centred rows [V, H] of any rank, [n, H].

    A sum of the rows with independent weights of variance 1/V has their covariance exactly.
    """
    step = max(1, MEMORY_BYTES // (8 * n))
    drawn = np.tile(mean, (n, 1))
    for start in range(0, len(centred), step):
        part = centred[start : start + step]
        drawn += rng.standard_normal((n, len(part))) @ part / np.sqrt(len(centred))
    return drawn


def _random_rows(
    rows: Float32Array, squares: Float64Array, drawn: Float64Array, metric: Metric
) -> RandomRows:
    units = unit_rows(drawn).astype(np.float32)
    step = max(1, MEMORY_BYTES // (16 * len(rows)))
    parts = [units[start : start + step] for start in range(0, len(units), step)]
    if metric == "l2":
        order = np.argsort(squares, kind="stable")
        rows, intercepts = rows[order], -squares[order] / 2
        envelopes = [_undominated(part @ rows.T, intercepts) for part in parts]
        most = max(lines.shape[1] for lines in envelopes)
        padded = [np.pad(e, ((0, 0), (0, most - e.shape[1]), (0, 0)), "edge") for e in envelopes]
        return RandomRows(metric, np.concatenate(padded))
    if metric == "cosine":
        lengths = np.sqrt(squares)
        rows = rows / np.where(lengths > 0, lengths, 1).astype(np.float32)[:, None]
    best = np.concatenate([(part @ rows.T).max(axis=1) for part in parts]).astype(np.float64)
    return RandomRows(metric, np.stack([best, best], axis=1)[:, None, :])


def _undominated(slopes: Float32Array, intercepts: Float64Array) -> Float64Array:
    """Lines no other line beats in both slope and intercept: only they can be highest at s ≥ 0.

    With the lines in order of falling intercept these are the records of the slope, a few dozen.

    Args:
        slopes: [n, V] slope of every line of each of n families.
        intercepts: [V], shared by the families, in falling order.

    Returns:
        [n, m, 2] slopes and intercepts, each family padded with copies of its steepest line.
    """
    highest = np.maximum.accumulate(slopes, axis=1)
    record = np.ones(slopes.shape, dtype=bool)
    record[:, 1:] = slopes[:, 1:] > highest[:, :-1]
    family, line = np.nonzero(record)
    counts = np.bincount(family)
    rank = rank_in_group(counts)
    chosen = np.repeat(slopes.argmax(axis=1)[:, None], counts.max(), axis=1)
    chosen[family, rank] = line
    return np.stack([np.take_along_axis(slopes, chosen, axis=1), intercepts[chosen]], axis=2)
