"""Does a measure tell pairs of prompts for one task from pairs for two?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probe.analysis.starts import UNKNOWN
from probe.arrays import Float64Array, IntArray
from probe.results import Result


@dataclass(frozen=True)
class Separation(Result):
    """How often pairs of prompts for one task are closer than pairs for two."""

    area: float
    """Area under the ROC curve; 0.5 is guessing."""
    same: int
    """Pairs of one task."""
    other: int
    """Pairs of two."""
    unknown: int = 0
    """Of all these, pairs whose start is not recorded."""


def separation(
    closeness: Float64Array,
    tasks: Sequence[str | None],
    starts: IntArray,
    *,
    without_shared_start: bool = False,
) -> Separation | None:
    """Area under the ROC curve of closeness against “same task”, over the N(N − 1)/2 pairs.

    It is the chance that a pair of one task is closer than a pair of two, ties counting half
    (Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve"): 0.5 is guessing.
    Pairs share prompts, so they are not independent.

    Args:
        closeness: [N, N], symmetric; higher is closer.
        tasks: [N] what each was trained for; prompts of which that is unknown do not count.
        starts: [N, N] positions that began from the same token, −1 where unknown.
        without_shared_start: leave out pairs of which any position began from the same token.

    Returns:
        None where all pairs are of one kind.
    """
    names = np.array(tasks, dtype=object)
    known = np.array([task is not None for task in tasks], dtype=bool)
    i, j = np.triu_indices(len(names), 1)
    counted = known[i] & known[j] & ((starts[i, j] <= 0) | (not without_shared_start))
    i, j = i[counted], j[counted]
    same = np.asarray(names[i] == names[j], dtype=bool)
    if not 0 < same.sum() < len(same):
        return None
    others = np.sort(closeness[i, j][~same])
    below, up_to = (others.searchsorted(closeness[i, j][same], side) for side in ("left", "right"))
    area = float((below + up_to).mean() / (2 * len(others)))
    unknown = int((starts[i, j] == UNKNOWN).sum())
    return Separation(area, int(same.sum()), int((~same).sum()), unknown)
