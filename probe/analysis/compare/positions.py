"""Which positions of one prompt resemble which of another?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probe.arrays import BoolArray, Float32Array, Float64Array, IntArray
from probe.linalg import unit_rows
from probe.results import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PositionView(Result):
    """Cosines of every position of one prompt with every position of another."""

    prompts: tuple[str, str]
    cosines: Float64Array
    """[P, P′]"""
    shared: BoolArray | None = None
    """[P, P′] whether both rows began from the same token; None where that is not known."""
    change: bool = False
    """Whether these are cosines of what changed since the start."""

    @property
    def matched(self) -> Float64Array:
        """Cosines of equal positions, [min(P, P′)]."""
        return np.diag(self.cosines)

    def to_frame(self) -> pd.DataFrame:
        """[P, P′], positions on both sides."""
        import pandas as pd

        return pd.DataFrame(self.cosines)


def position_view(
    first: Float32Array,
    second: Float32Array,
    *,
    names: tuple[str, str],
    starts: Sequence[IntArray | None] = (None, None),
    change: bool = False,
) -> PositionView:
    """Compare two prompts position by position.

    Args:
        first: [P, H].
        second: [P′, H].
        names: of both.
        starts: the tokens that the rows of each began from, [P] and [P′], where known.
        change: the rows given are what changed since the start.

    Raises:
        ValueError: the widths differ.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"{names[0]} has width {first.shape[1]}, but {names[1]} has width {second.shape[1]}: "
            "compare prompts of one base model"
        )
    left, right = (unit_rows(rows.astype(np.float64)) for rows in (first, second))
    before, other = starts
    shared = None if before is None or other is None else before[:, None] == other[None]
    cosines = np.clip(left @ right.T, -1, 1).astype(np.float64)
    return PositionView(names, cosines, shared, change)
