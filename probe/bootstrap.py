"""Paired bootstrap: how much a number would move if other examples had been drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probe.arrays import Float64Array, FloatArray

LEVEL = 0.95
"""Share of resamples that an interval holds."""
RESAMPLES = 2000
_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Estimate:
    """A number with the interval that 95 % of resamples fall in."""

    value: float
    interval: tuple[float, float] | None
    """None of a single run, which says nothing about others."""

    @property
    def ends(self) -> tuple[float, float]:
        """The interval; no numbers where there is none."""
        return self.interval or (math.nan, math.nan)

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        low, high = self.ends
        return low > 0 or high < 0

    def __format__(self, spec: str) -> str:
        """The number with its interval in brackets, if it has one: `0.512 [0.470, 0.551]`."""
        numbers = [format(number, spec) for number in (self.value, *(self.interval or ()))]
        return "{} [{}, {}]".format(*numbers) if self.interval else numbers[0]


@dataclass(frozen=True)
class Bootstrap:
    """Resamples of n examples with replacement (Efron 1979), the same ones at every call.

    Numbers that are computed on the same resamples are paired: their differences and ratios have
    intervals that leave out what the examples have in common.
    """

    n: int
    """Examples."""
    resamples: int = RESAMPLES
    seed: int = 0

    def means(self, columns: FloatArray) -> Float64Array:
        """Mean of every column of [n, c] over each resample, [resamples, c]."""
        rng = np.random.default_rng(self.seed)
        chunk = max(1, _NUMBERS_AT_ONCE // self.n)
        sizes = [min(chunk, self.resamples - i) for i in range(0, self.resamples, chunk)]
        return np.concatenate([self._weights(size, rng) @ columns / self.n for size in sizes])

    def estimates(self, columns: FloatArray) -> list[Estimate]:
        """The mean of every column of [n, c], with its interval."""
        pairs = zip(columns.mean(axis=0), self.means(columns).T, strict=True)
        return [Sampled(float(value), resampled).estimate() for value, resampled in pairs]

    def _weights(self, size: int, rng: np.random.Generator) -> Float64Array:
        """How often each resample holds each example, [size, n]."""
        drawn = rng.integers(self.n, size=(size, self.n)) + self.n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * self.n)
        return counts.reshape(size, self.n).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Sampled:
    """A number, and what it is on each resample of the examples."""

    value: float
    resampled: Float64Array
    """[resamples]."""

    def __sub__(self, other: Sampled) -> Sampled:
        """The paired difference."""
        return Sampled(self.value - other.value, self.resampled - other.resampled)

    def estimate(self) -> Estimate:
        """The number with its percentile interval."""
        return Estimate(self.value, percentiles(self.resampled))


def mean_of(sampled: Sequence[Sampled]) -> Sampled:
    """The mean of several numbers, resample by resample."""
    values = [one.value for one in sampled]
    return Sampled(float(np.mean(values)), np.mean([one.resampled for one in sampled], axis=0))


def percentiles(resampled: Float64Array) -> tuple[float, float]:
    """The ends between which 95 % of resampled numbers lie."""
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
