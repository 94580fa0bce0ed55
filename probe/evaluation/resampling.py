"""Paired bootstrap: how much a number would move if other examples had been drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Share of resamples that an interval holds."""
_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Bootstrap:
    """Resamples of n examples with replacement (Efron 1979), the same ones at every call.

    Numbers that are computed on the same resamples are paired: their differences and ratios have
    intervals that leave out what the examples have in common.
    """

    n: int
    """Examples."""
    resamples: int = 2000
    seed: int = 0

    def means(self, columns: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Mean of every column of [n, c] over each resample, [resamples, c]."""
        rng = np.random.default_rng(self.seed)
        chunk = max(1, _NUMBERS_AT_ONCE // self.n)
        sizes = [min(chunk, self.resamples - i) for i in range(0, self.resamples, chunk)]
        return np.concatenate([self._weights(size, rng) @ columns / self.n for size in sizes])

    def _weights(self, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """How often each resample holds each example, [size, n]."""
        drawn = rng.integers(self.n, size=(size, self.n)) + self.n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * self.n)
        return counts.reshape(size, self.n).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Sampled:
    """A number, and what it is on each resample of the examples."""

    value: float
    resampled: NDArray[np.float64]
    """[resamples]."""

    def __sub__(self, other: Sampled) -> Sampled:
        """The paired difference."""
        return Sampled(self.value - other.value, self.resampled - other.resampled)

    def measure(self) -> Measure:
        """The number with its percentile interval."""
        return Measure(self.value, percentiles(self.resampled))


@dataclass(frozen=True)
class Measure:
    """A number with the interval that 95 % of resamples fall in."""

    value: float
    interval: tuple[float, float]


def mean_of(sampled: list[Sampled]) -> Sampled:
    """The mean of several numbers, resample by resample."""
    values = [one.value for one in sampled]
    return Sampled(float(np.mean(values)), np.mean([one.resampled for one in sampled], axis=0))


def percentiles(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """The ends between which 95 % of resampled numbers lie."""
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
