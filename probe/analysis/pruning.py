"""Which rows of a prompt are pruned, and how good what stays is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe.bootstrap import Estimate
from probe.errors import ProbeError

RATIOS = (0.25, 0.5, 0.75)
"""Shares of the rows that are pruned where nothing is asked for."""

State = Literal["pruned", "retrained"]


@dataclass(frozen=True)
class PromptScore:
    """How good one prompt is on the examples of a split."""

    score: Estimate
    """Of the task's metric."""
    loss_nats: Estimate
    """Per token of the right label."""
    score_change: Estimate | None
    """Minus the unpruned prompt's, paired over the examples; None of that prompt itself."""
    loss_change_nats: Estimate | None

    @property
    def rank(self) -> tuple[float, float]:
        """Orders prompts, the better the higher; equal scores are ordered by the loss."""
        return (self.score.value, -self.loss_nats.value)


@dataclass(frozen=True)
class KeptRows:
    """A prompt of some of the rows, as they are and retrained from where they began."""

    rows: tuple[int, ...]
    """Their positions in the unpruned prompt, from 0."""
    pruned: PromptScore
    """The rows as they are."""
    retrained: PromptScore


def row_counts(length: int, keep: Sequence[int], ratios: Sequence[float]) -> list[int]:
    """Numbers of rows to keep, each once, the most first.

    Args:
        length: P.
        keep: such numbers themselves.
        ratios: shares of the rows that are pruned, at least one row and never all.

    Raises:
        ProbeError: a number leaves nothing to prune.
    """
    if length == 1:
        raise ProbeError("expected a prompt of two rows or more to prune, found one row")
    for count in keep:
        if not 0 < count < length:
            raise ProbeError(
                f"expected numbers of rows to keep from 1 to {length - 1} of {length}, found "
                f"{count}"
            )
    pruned = [min(length - 1, max(1, round(ratio * length))) for ratio in ratios]
    return sorted({*keep, *(length - count for count in pruned)}, reverse=True)


def kept_rows(importance: Sequence[float], count: int) -> tuple[int, ...]:
    """Positions of the most important rows in their order; of equals the earlier ones stay."""
    order = np.argsort(-np.asarray(importance), kind="stable")
    return tuple(sorted(int(row) for row in order[:count]))


def best_of(kept: Sequence[KeptRows]) -> tuple[int, State]:
    """Which of several prunings scores highest, and in which state; of equals the first."""
    candidates: list[tuple[int, State, PromptScore]] = [
        (number, state, getattr(one, state))
        for number, one in enumerate(kept)
        for state in ("retrained", "pruned")
    ]
    number, state, _ = max(candidates, key=lambda found: found[2].rank)
    return number, state
