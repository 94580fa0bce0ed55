"""Which tokens did rows start from, which are still nearest, and how far did they move?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from probe.analysis.neighbours import DEFAULT_METRIC, Metric, Neighbours, nearest_tokens
from probe.arrays import (
    BoolArray,
    Float32Array,
    Float64Array,
    FloatArray,
    IntArray,
    multiplied,
)
from probe.errors import NotComparableError
from probe.linalg import unit_rows
from probe.prompt import START_NEAREST, AnyPrompt, SoftPrompt
from probe.results import Result
from probe.texts import counted
from probe.vocabulary import Vocabulary

_ROUNDING = 1e-6
"""Cosines that lie no farther apart are equal but for rounding."""
UNKNOWN = -1
"""In place of a number of shared starts where a file does not say what training began from."""

Starts = Sequence[IntArray | None]


def start_token_ids(prompt: SoftPrompt) -> IntArray | None:
    """The token that each row started from, or nearest to where that was no token, [P].

    None where the file does not say.
    """
    ids = prompt.init_token_ids or prompt.config.get(START_NEAREST)
    if not isinstance(ids, Sequence) or len(ids) != len(prompt):
        return None
    if not all(type(one) is int and 0 <= one < 2**31 for one in ids):
        return None
    return np.array(ids, dtype=np.int64)


def at_start(
    prompt: SoftPrompt, vocabulary: Vocabulary, nearest: Neighbours | None = None
) -> BoolArray | None:
    """Whether each position's nearest token by cosine is still its initial token, [P].

    One metric judges this whatever metric is shown: what training did to a row does not depend on
    how its neighbours are listed. Tokens of one direction are equally near; any of them counts.

    Args:
        prompt: P rows of width H.
        vocabulary: the base model's tokens and table [V, H].
        nearest: of all tokens by cosine, [P, k], where they are known already.

    Returns:
        None where the start is not known, or is no token of this vocabulary.
    """
    ids = start_token_ids(prompt)
    if ids is None or ids.max() >= len(vocabulary):
        return None
    if nearest is None:
        nearest = nearest_tokens(prompt.embeddings, vocabulary, "cosine", k=1)
    rows, starts = (unit_rows(one) for one in (prompt.embeddings, vocabulary.rows(ids)))
    cosines = np.einsum("ph,ph->p", rows, starts, dtype=np.float64)
    stayed: BoolArray = (nearest.ids[:, 0] == ids) | (cosines >= nearest.scores[:, 0] - _ROUNDING)
    return stayed


def recorded_starts(prompts: Sequence[AnyPrompt]) -> list[IntArray | None]:
    """The tokens that the rows of each prompt began from, [P] each, or None where unknown.

    Ids mean the same tokens only on one base model: of prompts of others than the first prompt's
    they count as unknown.
    """
    known = [prompt.base_model for prompt in prompts if prompt.base_model is not None]
    return [
        start_token_ids(prompt)
        if isinstance(prompt, SoftPrompt) and prompt.base_model in (None, *known[:1])
        else None
        for prompt in prompts
    ]


def shared_starts(starts: Starts) -> IntArray:
    """At how many positions two prompts began from the same token, [N, N]; −1 where unknown.

    The diagonal holds the number of a prompt's own positions.
    """
    counts = np.full((len(starts), len(starts)), UNKNOWN, dtype=np.int64)
    for i, first in enumerate(starts):
        for j, second in enumerate(starts[: i + 1]):
            if first is not None and second is not None:
                both = min(len(first), len(second))
                counts[i, j] = counts[j, i] = int((first[:both] == second[:both]).sum())
    return counts


def start_words(shared: int, of: int) -> str:
    """At how many of the shorter prompt's positions two began from the same token, in words."""
    if shared == UNKNOWN:
        return "whether they share a start is not recorded"
    if shared == 0:
        return f"none of {counted(of, 'position')} began from the same token"
    return f"{shared} of {counted(of, 'position')} began from the same token"


def shared_starts_sentence(prompts: Sequence[SoftPrompt]) -> str:
    """What prompts that began alike do to a likeness of positions; empty where none did."""
    shared = shared_starts(recorded_starts(prompts))
    pairs = [
        (int(shared[i, j]), min(len(prompts[i]), len(prompts[j])))
        for i in range(len(prompts))
        for j in range(i)
    ]
    alike = [(count, of) for count, of in pairs if count > 0]
    if not alike:
        return ""
    most, of = max(alike)
    return (
        f"{len(alike)} of {counted(len(pairs), 'pair')} of prompts began from some of the same "
        f"tokens (at up to {most} of {counted(of, 'position')}), so their rows lay together before "
        "training; displacement takes the start out."
    )


def changes_since_start(prompt: SoftPrompt, vocabulary: Vocabulary) -> Float32Array:
    """What training changed: each row minus the embedding of its initial token, [P, H].

    Raises:
        NotComparableError: the file does not say what training began from, or says tokens that
            the vocabulary does not have, or the widths differ.
    """
    ids = prompt.init_token_ids
    if ids is None:
        raise NotComparableError(
            f"{prompt.name}: its file does not say which tokens training began from, so what has "
            "changed since is not known: leave it out, or compare positions"
        )
    if prompt.width != vocabulary.width or max(ids) >= len(vocabulary):
        raise NotComparableError(
            f"{prompt.name} has width {prompt.width} and began from tokens up to {max(ids)}, but "
            f"the table of {vocabulary.name} is {len(vocabulary)} × {vocabulary.width}: name the "
            "base model it was trained on"
        )
    changes: Float32Array = rows_as_read(prompt, vocabulary) - vocabulary.rows(list(ids))
    return changes


def rows_as_read(prompt: SoftPrompt, vocabulary: Vocabulary) -> Float32Array:
    """The rows as the model reads them, [P, H]: those that PEFT puts into its table, multiplied."""
    if prompt.method != "trainable_tokens":
        return prompt.embeddings
    return multiplied(prompt.embeddings, vocabulary.factor)


@dataclass(frozen=True, eq=False)
class Drift(Result):
    """P positions over S checkpoints."""

    _left_out: ClassVar[frozenset[str]] = frozenset({"nearest"})
    prompt: str
    steps: tuple[int, ...]
    """[S], ascending; distances count from the first."""
    distance: Float64Array
    """[S, P] Euclidean distance from the first step."""
    cosine: Float64Array
    """[S, P] cosine with the first step."""
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
        return {**super()._document(), "changes": self.changes, "tokens": self.tokens or None}

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
