"""How prompts lie among tokens: nearest to one or to another prompt, and as strong as they are?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from probe.analysis.neighbours import (
    HIGHER_IS_BETTER,
    Metric,
    nearest_rows,
    nearest_tokens,
    require_metric,
)
from probe.arrays import Float32Array
from probe.linalg import squared_norms
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

    Args:
        prompts: N arrays [P, H].
        vocabulary: table [V, H].
        metric: what near means.

    Raises:
        ValueError: the widths differ, or a bad metric.
    """
    require_metric(metric)
    rows = np.concatenate(prompts)
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    to_tokens = sign * nearest_tokens(rows, vocabulary, metric, k=1).scores[:, 0]
    near = 0
    if len(rows) > 1:
        found = nearest_rows(rows, rows, metric, k=2)
        itself = found.ids == np.arange(len(rows))[:, None]
        # A row may lose its own first place to an equal row, or, by dot product, to a longer one.
        to_rows = sign * np.where(itself[:, 0], found.scores[:, 1], found.scores[:, 0])
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

    Args:
        prompts: N arrays [P, H].
        vocabulary: table [V, H].

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
