"""How far did a prompt move in training, and when did its nearest tokens change?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.analysis.neighbours import DEFAULT_METRIC, Metric, nearest_tokens
from probe.arrays import Float64Array, FloatArray, IntArray
from probe.linalg import unit_rows
from probe.results import Result
from probe.texts import counted
from probe.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Drift(Result):
    """P positions over S checkpoints."""

    prompt: str
    steps: tuple[int, ...]
    """[S], ascending; distances count from the first."""
    distance: Float64Array
    """[S, P] Euclidean distance from the first checkpoint."""
    cosine: Float64Array
    """[S, P] cosine with the first checkpoint."""
    norm: Float64Array
    """[S, P]"""
    metric: Metric
    """What near means."""
    nearest: IntArray | None
    """[S, P] nearest token; None without a vocabulary."""
    tokens: tuple[tuple[str, ...], ...]
    """[S][P] the same as shown to people; empty without a vocabulary."""

    @property
    def changes(self) -> tuple[int, ...] | None:
        """[S] positions whose nearest token is another than one checkpoint before; None without."""
        if self.nearest is None:
            return None
        changed = (np.diff(self.nearest, axis=0) != 0).sum(axis=1)
        return (0, *(int(count) for count in changed))

    def _document(self) -> dict[str, Any]:
        unlisted = {"changes": self.changes, "tokens": self.tokens or None}
        own = super()._document()
        return {name: value for name, value in own.items() if name != "nearest"} | unlisted

    def _rows(self) -> dict[str, Any]:
        """One row per checkpoint and position."""
        count, length = self.distance.shape
        columns = {
            "step": np.repeat(self.steps, length),
            "position": np.tile(np.arange(length), count),
            "distance": self.distance.ravel(),
            "cosine": self.cosine.ravel(),
            "norm": self.norm.ravel(),
        }
        return columns | ({"token": list(sum(self.tokens, ()))} if self.tokens else {})


def drift(
    rows: FloatArray,
    steps: Sequence[int],
    *,
    name: str,
    vocabulary: Vocabulary | None = None,
    metric: Metric = DEFAULT_METRIC,
) -> Drift:
    """Follow a prompt through its checkpoints.

    Args:
        rows: [S, P, H], S ≥ 1.
        steps: [S], ascending.
        name: of the prompt.
        vocabulary: table [V, H], to follow nearest tokens too.
        metric: what near means.

    Raises:
        ValueError: shapes disagree or steps do not ascend.
    """
    if rows.ndim != 3 or len(rows) != len(steps) or 0 in rows.shape:
        raise ValueError(
            f"expected rows [S, P, H] for {counted(len(steps), 'step')}, found {rows.shape}"
        )
    if any(late <= early for early, late in zip(steps, steps[1:], strict=False)):
        raise ValueError(f"steps must ascend, found {list(steps)}")
    wide = rows.astype(np.float64)
    count, length, width = wide.shape
    unit = unit_rows(wide.reshape(-1, width)).reshape(wide.shape)
    nearest = None
    tokens: tuple[tuple[str, ...], ...] = ()
    if vocabulary is not None:
        flat = rows.reshape(-1, width).astype(np.float32)
        nearest = nearest_tokens(flat, vocabulary, metric, k=1).ids.reshape(count, length)
        tokens = tuple(tuple(vocabulary.tokens[i] for i in line) for line in nearest)
    return Drift(
        prompt=name,
        steps=tuple(int(step) for step in steps),
        distance=np.linalg.norm(wide - wide[0], axis=2),
        cosine=np.clip(np.einsum("sph,ph->sp", unit, unit[0]), -1, 1),
        norm=np.linalg.norm(wide, axis=2),
        metric=metric,
        nearest=nearest,
        tokens=tokens,
    )
