"""Do two ways to rank a prompt's positions agree? Rank correlations with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from probe.arrays import Float64Array
from probe.bootstrap import Bootstrap, Estimate, Sampled

_RESAMPLES_AT_ONCE = 256


@dataclass(frozen=True)
class RankAgreement:
    """How two measures of the same positions order them."""

    first: str
    second: str
    spearman: Estimate
    kendall: Estimate
    """Kendall's τ-b."""


def rank_agreements(
    measures: Mapping[str, Float64Array], bootstrap: Bootstrap
) -> list[RankAgreement]:
    """The agreement of every two measures, [n, P] each, whose means over examples rank positions.

    Nothing is ranked where there are fewer than three positions.
    """
    if not measures or next(iter(measures.values())).shape[1] < 3:
        return []
    means = {
        name: np.vstack([columns.mean(axis=0), bootstrap.means(columns)])
        for name, columns in measures.items()
    }
    return [
        RankAgreement(
            first,
            second,
            _sampled(spearman(means[first], means[second])),
            _sampled(kendall(means[first], means[second])),
        )
        for first, second in itertools.combinations(means, 2)
    ]


def spearman(one: Float64Array, other: Float64Array) -> Float64Array:
    """Spearman's ρ of each row of [m, P] with the same of another, [m]; 0 where all are tied.

    A single row, [1, P], goes with every one of the other.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(array, axis=1) for array in (one, other)]
    return _cosines(*(array - array.mean(axis=1, keepdims=True) for array in ranks))


def kendall(one: Float64Array, other: Float64Array) -> Float64Array:
    """Kendall's τ-b of each row of [m, P] with the same of another, [m]; 0 where all are tied."""
    upper = np.triu_indices(one.shape[1], 1)

    def signs(rows: Float64Array) -> Float64Array:
        return np.sign(rows[:, upper[0]] - rows[:, upper[1]])

    parts = range(0, len(one), _RESAMPLES_AT_ONCE)
    chunks = [slice(start, start + _RESAMPLES_AT_ONCE) for start in parts]
    return np.concatenate([_cosines(signs(one[part]), signs(other[part])) for part in chunks])


def _cosines(one: Float64Array, other: Float64Array) -> Float64Array:
    lengths = np.sqrt((one * one).sum(axis=1) * (other * other).sum(axis=1))
    cosines: Float64Array = (one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1)
    return cosines


def _sampled(values: Float64Array) -> Estimate:
    return Sampled(float(values[0]), values[1:]).estimate()
