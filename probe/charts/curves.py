"""What a training run noted, as curves: thinned, smoothed, several prompts averaged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.arrays import Float64Array

_MOST_POINTS = 200
_WINDOW = 9
"""Points in the running mean of a loss."""


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity over the steps at which it was noted."""

    steps: Float64Array
    """[n], ascending."""
    values: Float64Array
    """[n], finite."""

    def thinned(self, most: int = _MOST_POINTS) -> Series:
        """At most so many points: means of as many neighbouring ones as it takes."""
        size = -(-len(self.steps) // most)
        if size <= 1:
            return self
        starts = np.arange(0, len(self.steps), size)
        counts = np.diff([*starts, len(self.steps)])
        return Series(
            np.add.reduceat(self.steps, starts) / counts,
            np.add.reduceat(self.values, starts) / counts,
        )

    def smoothed(self, window: int = _WINDOW) -> Series:
        """Running mean over as many points before as after, so that it does not lag.

        Near the start these are fewer; at the end, where fewer follow, only those after are.
        """
        sums = np.concatenate([[0.0], np.cumsum(self.values)])
        places = np.arange(len(self.values))
        half = np.minimum(places, window // 2)
        starts, ends = places - half, np.minimum(places + half + 1, len(places))
        return Series(self.steps, (sums[ends] - sums[starts]) / (ends - starts))


@dataclass(frozen=True, eq=False)
class Curves:
    """What one run noted; prompts trained at once are averaged."""

    name: str
    loss_nats: Series
    validation_nats: Series
    score: Series
    """The validation metric."""
    metric: str | None
    """Its name; None before the first validation."""
    norm: Series
    moved: Series
    """Share of positions whose nearest token has changed."""


def curves(name: str, records: Sequence[Mapping[str, Any]]) -> Curves:
    """The curves of a run.

    Args:
        name: shown in legends.
        records: lines of `metrics.jsonl`, in order.
    """
    validations = [(one["step"], one["validation"]) for one in records if one.get("validation")]
    return Curves(
        name,
        _series((one["step"], one.get("loss_nats")) for one in records),
        _series((step, found["loss_nats"]) for step, found in validations),
        _series((step, found["value"]) for step, found in validations),
        validations[-1][1]["metric"] if validations else None,
        _series((one["step"], one.get("norm")) for one in records),
        _series((one["step"], one.get("moved")) for one in records),
    )


def _series(points: Iterable[tuple[int, float | None]]) -> Series:
    """Points in order, several of one step averaged, missing ones left out."""
    sums: dict[int, list[float]] = {}
    for step, value in points:
        if value is not None:
            sums.setdefault(step, []).append(value)
    means = [sum(values) / len(values) for values in sums.values()]
    return Series(np.array(list(sums), dtype=np.float64), np.array(means, dtype=np.float64))
