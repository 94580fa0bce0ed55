"""Is a decoding signal or noise? Each position's best score beside three reference samples.

(a) *vocabulary*: held-out tokens, each against its nearest other token — as close as tokens are?
(b) *chance*: the Gaussian control, drawn from the vocabulary's mean and covariance.
(c) *isotropic*: the isotropic control, rows of any direction.
(b) and (c) are scaled to the position's norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from probe.analysis.neighbours import HIGHER_IS_BETTER, Metric
from probe.analysis.references import Reference
from probe.arrays import BoolArray, Float64Array, IntArray

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
    rows = ([set(ids.tolist()) for ids in same] for same in zip(*lists, strict=True))
    return np.array(
        [np.mean([len(a & b) / len(a | b) for a, b in combinations(row, 2)]) for row in rows]
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
