"""How prompts lie among tokens: nearest to which, as strong, and in how tight a neighbourhood?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.analysis.neighbours import (
    HIGHER_IS_BETTER,
    Metric,
    best_others,
    nearest_rows,
    nearest_tokens,
)
from probe.arrays import Float32Array, Float64Array, IntArray
from probe.errors import require_choice
from probe.linalg import squared_norms, unit_rows
from probe.prompt import AnyPrompt, SoftPrompt
from probe.results import Result
from probe.vocabulary import EmbeddingScale, Vocabulary


@dataclass(frozen=True)
class Mixing(Result):
    """What the nearest neighbours of n prompt rows are, among V tokens and the other rows."""

    metric: Metric
    rows: int
    """n"""
    tokens: int
    """V"""
    near_rows: int
    """Rows whose nearest neighbour is another prompt row, not a token."""
    expected: float
    """As many as there would be if neighbours were drawn at random: n (n − 1) / (n − 1 + V)."""
    norm: float
    """Median norm of the prompt rows."""
    token_norm: float
    """Median norm of the tokens."""


def mixing(
    prompts: Sequence[Float32Array], vocabulary: Vocabulary, metric: Metric = "cosine"
) -> Mixing:
    """Count the rows whose nearest neighbour is a row of a prompt; a tie goes to the token.

    It is what a nearest-neighbour test between two samples counts (Schilling 1986,
    "Multivariate two-sample tests based on nearest neighbors"), with one neighbour and seen from
    the prompts alone.

    Raises:
        ValueError: the widths differ, or a bad metric.
    """
    require_choice("metric", metric, HIGHER_IS_BETTER)
    rows = np.concatenate(prompts)
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    to_tokens = sign * nearest_tokens(rows, vocabulary, metric, k=1).scores[:, 0]
    near = 0
    if len(rows) > 1:
        to_rows = sign * best_others(rows, np.arange(len(rows)), metric)
        near = int(np.count_nonzero(to_rows > to_tokens))
    others = len(rows) - 1
    return Mixing(
        metric=metric,
        rows=len(rows),
        tokens=len(vocabulary),
        near_rows=near,
        expected=len(rows) * others / (others + len(vocabulary)),
        norm=float(np.median(np.sqrt(squared_norms(rows)))),
        token_norm=float(np.median(vocabulary.norms)),
    )


def median_best_cosines(prompts: Sequence[Float32Array], vocabulary: Vocabulary) -> list[float]:
    """Median over each prompt's rows of the cosine with the nearest token, in one pass for all.

    Raises:
        ValueError: the widths differ.
    """
    best = nearest_tokens(np.concatenate(prompts), vocabulary, "cosine", k=1).scores[:, 0]
    ends = np.cumsum([len(rows) for rows in prompts])[:-1]
    return [float(np.median(own)) for own in np.split(best, ends)]


LEAST_FACTOR = 2.0
"""Smaller factors change a prompt's strength less than training does."""


def strength_note(prompt: AnyPrompt, scale: EmbeddingScale) -> str | None:
    """A warning where the norms of a prompt are those of the stored table; None elsewhere.

    Until transformers 5.4 Gemma 1 and 2 multiplied whatever was fed in by the root of H, behind
    their embedding layer; since then the layer itself does, and prompts are fed in behind it. A
    prompt of before lies at the size of the stored table and runs at 1/√H of the strength it was
    trained at.

    They are where they lie nearer to it, by ratio, than to what the model feeds on, and no farther
    below it than that.
    """
    if not isinstance(prompt, SoftPrompt) or scale.factor < LEAST_FACTOR or scale.norm <= 0:
        return None
    stored = scale.norm / scale.factor
    norm = float(np.median(prompt.norms))
    if not 1 / scale.factor < (norm / stored) ** 2 < scale.factor:
        return None
    times = f"{scale.factor:.4g}"
    return (
        f"{prompt.name} has rows of norm {norm:.3g}, as the model's table stores them "
        f"({stored:.3g}), but its embedding layer multiplies them by {times} ({scale.norm:.3g}): a "
        f"prompt made where this was done behind the layer (Gemma before transformers 5.4) runs at "
        f"1/{times} of its strength; multiply its rows by {times} or train it again"
    )


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
        """Percent of tokens' neighbourhoods that are looser than the mean prompt row's."""
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
    each other to some degree, so neighbourhoods of vocabulary tokens stand beside it.

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
