"""Is a decoding signal or noise? Each position's best score beside three reference samples.

(a) *vocabulary*: held-out tokens, each against its nearest other token — as close as tokens are?
(b) *chance*: the Gaussian control, drawn from the vocabulary's mean and covariance.
(c) *isotropic*: the isotropic control, rows of any direction.
(b) and (c) are scaled to the position's norm.

The best score of a row s·u, u its unit direction, depends on s in a simple way: the cosine not at
all, the dot product linearly, and for `l2` through max over tokens of (s u·e − ‖e‖²/2), the highest
of one line per token, of which only a few dozen can ever be highest. So a reference is computed
once per table, kept by its fingerprint, and read off exactly at any norm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from probe.analysis.approximate_scores import MEMORY_BYTES
from probe.analysis.neighbours import (
    HIGHER_IS_BETTER,
    Metric,
    best_others,
    rank_in_group,
)
from probe.arrays import Arrays as Arrays
from probe.arrays import BoolArray, Float32Array, Float64Array, IntArray
from probe.linalg import squared_norms, unit_rows
from probe.vocabulary import Rows, to_float32

TOKEN_SAMPLE = 2000
"""Tokens of reference (a)."""
RANDOM_SAMPLE = 1000
"""Rows of references (b) and (c): the 97.5th percentile is then known to half a percent."""
OFF_MANIFOLD_BELOW = 1.0
"""Percentile of reference (a): farther than 99 % of held-out tokens."""
CHANCE_BELOW = 97.5
"""Percentile of reference (b) that a position must pass to be better than chance."""

OFF_THE_MANIFOLD = "off the manifold"
NOT_BETTER_THAN_CHANCE = "not better than chance"
NEVER_LEFT_ITS_START = "never left its start"
FLAG_NAMES = {
    OFF_THE_MANIFOLD: "outside the token distribution",
    NEVER_LEFT_ITS_START: "nearest token is still its initial token (by cosine)",
}
"""What people read where a flag's own words, which documents keep, claim more than it says."""
Fits = Callable[[Arrays], bool]
"""Whether arrays have the names, shapes and values that computed ones would."""
Cached = Callable[[str, Callable[[], Arrays], Fits], Arrays]
"""Returns the arrays kept under a key, computing them when there are none that fit."""


def uncached(_key: str, compute: Callable[[], Arrays], _fits: Fits) -> Arrays:
    """What is computed, kept nowhere."""
    return compute()


@dataclass(frozen=True)
class PositionControls:
    """What a position's best score is worth. Percentiles run from 0 to 100."""

    vocabulary: float
    """Share of sampled tokens that are farther from their nearest other token, in percent."""
    chance: float
    """Share of rows with the vocabulary's mean and covariance that are farther, in percent."""
    isotropic: float
    """Share of the isotropic control that is farther, in percent."""
    norm_percentile: float
    """Share of vocabulary rows with a smaller norm, in percent."""
    metric_agreement: float
    """Mean Jaccard index of the top-k lists of the three metrics, 0 to 1."""
    flags: tuple[str, ...]

    @property
    def named_flags(self) -> tuple[str, ...]:
        """The flags as people read them."""
        return tuple(FLAG_NAMES.get(flag, flag) for flag in self.flags)


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


def are_numbers(arrays: Arrays, shapes: Mapping[str, tuple[int | None, ...]]) -> bool:
    """Whether arrays have these names and shapes, None being any length, and no NaN or infinity."""
    return arrays.keys() == shapes.keys() and all(
        array.ndim == len(shape)
        and all(wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True))
        and array.dtype.kind in "fiu"
        and bool(np.isfinite(array).all())
        for array, shape in ((arrays[name], shape) for name, shape in shapes.items())
    )


def is_reference(arrays: Arrays, allowed: int) -> bool:
    """Whether arrays may be the reference of so many allowed rows."""
    lines = (RANDOM_SAMPLE, None, 2)
    sample = min(TOKEN_SAMPLE, allowed)
    shapes = {"vocabulary": (sample,), "chance": lines, "isotropic": lines, "norms": (allowed,)}
    return are_numbers(arrays, shapes) and all(array.size for array in arrays.values())


def sample_reference(
    table: Rows,
    metric: Metric,
    *,
    allowed: BoolArray,
    rng: np.random.Generator,
    n_tokens: int = TOKEN_SAMPLE,
    n_random: int = RANDOM_SAMPLE,
) -> Reference:
    """Draw the three reference samples of a table.

    Args:
        table: [V, H].
        metric: what near means.
        allowed: [V], rows that may be neighbours; the samples come from these too.
        rng: source of randomness.
        n_tokens: sampled tokens, at most the number of allowed rows.
        n_random: rows of each random sample.

    Raises:
        ValueError: fewer than two rows are allowed.
    """
    ids = np.flatnonzero(allowed)
    if len(ids) < 2:
        raise ValueError(f"controls need at least 2 allowed tokens, found {len(ids)}")
    rows = to_float32(table[slice(None) if len(ids) == len(table) else ids])
    squares = squared_norms(rows)
    chosen = rng.choice(len(rows), size=min(n_tokens, len(rows)), replace=False)
    return Reference(
        metric,
        vocabulary=best_others(rows, chosen, metric),
        chance=_random_rows(rows, squares, like_vocabulary(rows, n_random, rng), metric),
        isotropic=_random_rows(
            rows, squares, rng.standard_normal((n_random, rows.shape[1])), metric
        ),
        norms=np.sort(np.sqrt(squares)),
    )


def percentile(scores: Float64Array, sample: Float64Array, metric: Metric) -> Float64Array:
    """Share of the sample that each score beats, in percent; a tie counts half.

    Args:
        scores: [P].
        sample: [n], or [P, n] with a sample per score.
        metric: says which direction is better.
    """
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    difference = sign * (scores[:, None] - sample)
    beaten = ((difference > 0) + (difference == 0) / 2).sum(axis=1)
    shares: Float64Array = 100 * beaten / sample.shape[-1]  # 27.5, where a mean gives 27.500…04
    return shares


def metric_agreement(lists: Sequence[IntArray]) -> Float64Array:
    """Mean Jaccard index over all pairs of top-k lists [P, k], one list per metric, [P]."""
    pairs = list(combinations(lists, 2))
    return np.array(
        [
            np.mean([_jaccard(set(a[row]), set(b[row])) for a, b in pairs])
            for row in range(len(lists[0]))
        ]
    )


def position_controls(
    best: Float64Array,
    norms: Float64Array,
    reference: Reference,
    agreement: Float64Array,
    *,
    at_start: BoolArray | None = None,
) -> tuple[PositionControls, ...]:
    """Put each position's best score beside the reference samples.

    Args:
        best: [P] score of each position's nearest token.
        norms: [P] norm of each position.
        reference: samples under the same metric and filter.
        agreement: [P], from `metric_agreement`.
        at_start: [P], whether the nearest token by cosine is the one the position started
            from, if known.
    """
    metric = reference.metric
    vocabulary = percentile(best, reference.vocabulary, metric)
    chance, isotropic = (
        percentile(best, np.stack([rows.best(norm) for norm in norms]), metric)
        for rows in (reference.chance, reference.isotropic)
    )
    norm_percentiles = 100 * np.searchsorted(reference.norms, norms) / len(reference.norms)
    stayed = np.zeros(len(best), dtype=bool) if at_start is None else at_start
    return tuple(
        PositionControls(
            vocabulary=float(vocabulary[i]),
            chance=float(chance[i]),
            isotropic=float(isotropic[i]),
            norm_percentile=float(norm_percentiles[i]),
            metric_agreement=float(agreement[i]),
            flags=_flags(vocabulary[i], chance[i], bool(stayed[i])),
        )
        for i in range(len(best))
    )


def _flags(vocabulary: float, chance: float, stayed: bool) -> tuple[str, ...]:
    rules = (
        (OFF_THE_MANIFOLD, vocabulary < OFF_MANIFOLD_BELOW),
        (NOT_BETTER_THAN_CHANCE, chance <= CHANCE_BELOW),
        (NEVER_LEFT_ITS_START, stayed),
    )
    return tuple(flag for flag, holds in rules if holds)


def _jaccard(a: set[int], b: set[int]) -> float:
    return len(a & b) / len(a | b)


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
