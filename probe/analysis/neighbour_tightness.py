"""Are a row's nearest tokens also near each other? Lester's observation as a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.analysis.neighbours import nearest_rows, nearest_tokens
from probe.arrays import Float32Array, Float64Array, IntArray
from probe.linalg import unit_rows
from probe.results import Result
from probe.vocabulary import Vocabulary

NEAREST = 5
SAMPLE = 500
"""Random sets, and random tokens, that the prompt's rows are held against."""


@dataclass(frozen=True, eq=False)
class Tightness(Result):
    """Mean cosine between the five tokens of a set, for three kinds of sets."""

    seed: int
    rows: Float64Array
    """[n] the five tokens nearest to each prompt row."""
    tokens: Float64Array
    """[m] the five nearest *other* tokens of random tokens: as tight as around real words?"""
    random: Float64Array
    """[m] five random tokens: tighter than no relation at all?"""

    @property
    def percentile(self) -> float:
        """Percent of real tokens' neighbourhoods that are looser than the mean prompt row's."""
        return float(100 * np.mean(self.tokens < self.rows.mean()))

    def _document(self) -> dict[str, Any]:
        return {
            "nearest": NEAREST,
            "seed": self.seed,
            "rows": self.rows.mean(),
            "rows_n": len(self.rows),
            "around_tokens": self.tokens.mean(),
            "random_tokens": self.random.mean(),
            "sample": len(self.random),
            "percentile": self.percentile,
        }

    def _rows(self) -> list[dict[str, Any]]:
        """One row per set."""
        kinds = {"rows": self.rows, "around_tokens": self.tokens, "random_tokens": self.random}
        return [
            {"kind": kind, "cosine": cosine} for kind, values in kinds.items() for cosine in values
        ]


def tightness(rows: Float32Array, vocabulary: Vocabulary, *, seed: int = 0) -> Tightness:
    """How alike the five tokens nearest to each row are, beside random vocabulary rows.

    Source: Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning", §7: “the
    top-5 nearest neighbors form tight semantic clusters”. Any point has near tokens that are near
    each other to some degree, so neighbourhoods of real tokens stand beside it.

    Args:
        rows: [n, H].
        vocabulary: table [V, H] of 6 reachable tokens or more.
        seed: of the random tokens.

    Raises:
        ValueError: the widths differ, or too few tokens are reachable.
    """
    rng = np.random.default_rng(seed)
    reachable = np.flatnonzero(~vocabulary.masks.special & ~vocabulary.masks.unused)
    if len(reachable) <= NEAREST:
        raise ValueError(f"expected more than {NEAREST} tokens some text reaches, found fewer")
    table = vocabulary.rows(slice(None))
    drawn = rng.choice(reachable, min(SAMPLE, len(reachable)), replace=False)
    sets = np.stack([rng.choice(reachable, NEAREST, replace=False) for _ in range(len(drawn))])
    near = nearest_tokens(rows, vocabulary, "cosine", k=NEAREST).ids
    around = nearest_rows(table[drawn], table, "cosine", k=NEAREST + 1).ids
    others = np.stack([ids[ids != own][:NEAREST] for ids, own in zip(around, drawn, strict=True)])
    return Tightness(seed, *(_mean_cosines(table, ids) for ids in (near, others, sets)))


def _mean_cosines(table: Float32Array, ids: IntArray) -> Float64Array:
    """Mean cosine over the pairs of each set [m, k], [m]."""
    count, size = ids.shape
    unit = unit_rows(table[ids.ravel()].astype(np.float64)).reshape(count, size, -1)
    sums = unit.sum(axis=1)
    own = np.einsum("mkh,mkh->m", unit, unit)  # k, less where a row is zero
    together = np.einsum("mh,mh->m", sums, sums)
    return np.asarray((together - own) / (size * (size - 1)), dtype=np.float64)
