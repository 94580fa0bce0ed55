"""Does a measure tell prompts of one family from the rest?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def separation(
    matrix: NDArray[np.float64], families: Sequence[str], *, higher_is_closer: bool
) -> float:
    """Area under the ROC curve of closeness against “same family”, over the N(N − 1)/2 pairs.

    It is the chance that a pair of one family is closer than a pair of two, ties counting half
    (Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve"): 0.5 is guessing.
    Pairs share prompts, so they are not independent.

    Args:
        matrix: [N, N], symmetric.
        families: [N] names.
        higher_is_closer: which way the measure goes.

    Raises:
        ValueError: sizes differ, or all pairs are of one kind.
    """
    from sklearn.metrics import roc_auc_score

    if matrix.shape != (len(families), len(families)):
        raise ValueError(
            f"expected a family for each of {len(matrix)} prompts, found {len(families)}"
        )
    i, j = np.triu_indices(len(families), 1)
    names = np.array(families)
    same = names[i] == names[j]
    if same.all() or not same.any():
        raise ValueError(
            "separation needs pairs of one family and pairs of two: name families that repeat"
        )
    values = matrix[i, j]
    return float(roc_auc_score(same, values if higher_is_closer else -values))
