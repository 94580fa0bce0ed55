"""Is the right one found? The place of each item's own text among N, by any score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probe.arrays import Float64Array, IntArray
from probe.bootstrap import Bootstrap, Estimate, percentiles


@dataclass(frozen=True)
class Retrieval:
    """How often the right text is among the first, with 95 % intervals over texts."""

    top1: Estimate
    top5: Estimate
    mrr: Estimate
    """Mean reciprocal rank."""


def retrieval(scores: Float64Array, right: IntArray, *, seed: int = 0) -> Retrieval:
    """Top-1, top-5 and mean reciprocal rank of the right texts.

    A tie counts as its expected place: what scores nothing finds nothing.

    Args:
        scores: [n, N] of n items and N texts, higher is nearer.
        right: [n] number of each item's own text.
        seed: of the resamples; whole texts are drawn, with all items of each.
    """
    better, ties = places(scores, right)
    top1, top5 = (np.clip((k - better) / ties, 0, 1) for k in (1, 5))
    reciprocal = [
        np.mean(1 / np.arange(b + 1, b + t + 1)) for b, t in zip(better, ties, strict=True)
    ]
    values = np.stack([top1, top5, np.array(reciprocal)], axis=1)
    means = np.stack([values[right == text].mean(0) for text in np.unique(right)])
    drawn = Bootstrap(len(means), seed=seed).means(means)
    found = [
        Estimate(float(value), percentiles(resampled))
        for value, resampled in zip(values.mean(0), drawn.T, strict=True)
    ]
    return Retrieval(*found)


def places(scores: Float64Array, right: IntArray) -> tuple[IntArray, IntArray]:
    """How many texts score above the right one, and how many as it does, itself included, [n]."""
    own = scores[np.arange(len(right)), right][:, None]
    return (scores > own).sum(1), (scores == own).sum(1)
