"""Does a measure tell prompts of one family from the rest?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analysis.compare.starts import UNKNOWN
from probe.arrays import BoolArray, Float64Array

if TYPE_CHECKING:
    from probe.analysis.compare.comparison import Comparison


@dataclass(frozen=True)
class Separation:
    """How often pairs of prompts for one task are closer than pairs for two."""

    area: float
    """Area under the ROC curve; 0.5 is guessing."""
    same: int
    """BoolArray of one task."""
    other: int
    """BoolArray of two."""
    unknown: int = 0
    """Of all these, pairs whose start is not recorded."""

    def to_json(self) -> dict[str, Any]:
        """Its numbers."""
        return asdict(self)


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
    BoolArray share prompts, so they are not independent.

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
            f"expected a family for each of {len(matrix)} prompts, found {len(families)}"
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


def task_separation(
    comparison: Comparison, *, without_shared_start: bool = False
) -> Separation | None:
    """How well a comparison tells pairs of one task from pairs of two.

    Args:
        comparison: of prompts whose tasks may be known.
        without_shared_start: leave out pairs of which any position began from the same token.

    Returns:
        None where tasks are unknown, or all pairs are of one kind.
    """
    known = [n for n, task in enumerate(comparison.tasks) if task is not None]
    names = [str(comparison.tasks[n]) for n in known]
    shared = comparison.shared_starts[known][:, known]
    among = shared <= 0 if without_shared_start else np.ones_like(shared, dtype=bool)
    i, j = np.triu_indices(len(known), 1)
    counted = among[i, j]
    same = np.array([names[a] == names[b] for a, b in zip(i, j, strict=True)], dtype=bool)[counted]
    if not 0 < same.sum() < len(same):
        return None
    area = separation(
        comparison.matrix[known][:, known],
        names,
        higher_is_closer=comparison.higher_is_closer,
        among=among,
    )
    unknown = int((shared[i, j][counted] == UNKNOWN).sum())
    return Separation(area, int(same.sum()), int((~same).sum()), unknown)
