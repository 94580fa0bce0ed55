"""An order in which prompts that resemble each other stand together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from probe.arrays import Float64Array
from probe.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from probe.analysis.compare.comparison import Comparison

OPTIMAL_ORDER = 400
"""Most prompts whose leaves are ordered optimally, which takes time with the cube of them."""


@dataclass(frozen=True, eq=False)
class Hierarchy(Result):
    """A tree of prompts: which join first, and how far apart they are then."""

    prompts: tuple[str, ...]
    order: tuple[int, ...]
    """[N] leaves from left to right, as indices of prompts."""
    linkage: Float64Array
    """[N − 1, 4] as SciPy's `linkage` gives it: two joined nodes, their distance, leaves below."""

    def to_frame(self) -> pd.DataFrame:
        """One row per join, first join first."""
        import pandas as pd

        return pd.DataFrame(self.linkage, columns=["left", "right", "distance", "leaves"]).astype(
            {"left": int, "right": int, "leaves": int}
        )


def hierarchy(comparison: Comparison) -> Hierarchy:
    """Average linkage of the prompts, leaves in the order that puts neighbours nearest.

    Distances are taken as they are; similarities, none of which passes 1, as 1 − similarity.
    Leaf order: Bar-Joseph et al. 2001, "Fast optimal leaf ordering for hierarchical clustering".
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    apart = 1 - comparison.matrix if comparison.higher_is_closer else comparison.matrix.copy()
    apart = np.maximum((apart + apart.T) / 2, 0)
    np.fill_diagonal(apart, 0)
    optimal = len(apart) <= OPTIMAL_ORDER
    joins = linkage(squareform(apart, checks=False), "average", optimal_ordering=optimal)
    order = tuple(int(leaf) for leaf in leaves_list(joins))
    return Hierarchy(comparison.prompts, order, np.asarray(joins, dtype=np.float64))
