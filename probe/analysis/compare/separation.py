"""Does a measure tell prompts of one family from the rest?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probe.arrays import BoolArray, Float64Array
from probe.results import Result
from probe.texts import counted


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
    matrix: Float64Array,
    families: Sequence[str],
    *,
    higher_is_closer: bool,
    among: BoolArray | None = None,
) -> float:
    """Area under the ROC curve of closeness against “same family”, over the N(N − 1)/2 pairs.

    It is the chance that a pair of one family is closer than a pair of two, ties counting half
    (Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve"): 0.5 is guessing.
    Pairs share prompts, so they are not independent.

    Args:
        matrix: [N, N], symmetric.
        families: [N] names.
        higher_is_closer: which way the measure goes.
        among: [N, N], the pairs that count; all where None.

    Raises:
        ValueError: sizes differ, or all pairs are of one kind.
    """
    if matrix.shape != (len(families), len(families)):
        raise ValueError(
            f"expected a family for each of {counted(len(matrix), 'prompt')}, found {len(families)}"
        )
    i, j = np.triu_indices(len(families), 1)
    if among is not None:
        i, j = i[among[i, j]], j[among[i, j]]
    names = np.array(families)
    same = names[i] == names[j]
    if same.all() or not same.any():
        raise ValueError(
            "separation needs pairs of one family and pairs of two: name families that repeat"
        )
    closeness = matrix[i, j] if higher_is_closer else -matrix[i, j]
    others = np.sort(closeness[~same])
    below, up_to = (others.searchsorted(closeness[same], side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(others)))
