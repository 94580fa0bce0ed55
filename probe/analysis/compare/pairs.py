"""Two prompts side by side: which tokens their decodings share, and which positions are alike."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.analysis.decoding import Decoding
from probe.analysis.neighbours import Metric
from probe.arrays import BoolArray, Float32Array, Float64Array, IntArray
from probe.linalg import unit_rows
from probe.results import Result
from probe.vocabulary import Vocabulary

_SPACE = "␣"


@dataclass(frozen=True)
class SharedToken:
    """One token string that stands in both decodings."""

    token: str
    """Without the mark of a leading space."""
    first: tuple[int, ...]
    """Positions of the first prompt that hold it among their nearest."""
    second: tuple[int, ...]


@dataclass(frozen=True)
class SharedTokens(Result):
    """What two decodings have in common."""

    prompts: tuple[str, str]
    metric: Metric
    k: int
    """Tokens per position."""
    shared: tuple[SharedToken, ...]
    """Those at most positions first."""
    union: int
    """Token strings in either decoding."""

    @property
    def jaccard(self) -> float:
        """Shared part of all token strings."""
        return len(self.shared) / self.union

    def _document(self) -> dict[str, Any]:
        return {**super()._document(), "jaccard": self.jaccard}

    def _rows(self) -> dict[str, Any]:
        """One row per shared token, positions as text."""
        return {
            "token": [one.token for one in self.shared],
            "positions 1": [", ".join(map(str, one.first)) for one in self.shared],
            "positions 2": [", ".join(map(str, one.second)) for one in self.shared],
        }


def shared_tokens(first: Decoding, second: Decoding) -> SharedTokens:
    """Token strings that both decodings hold; see `token_strings` for what a string is.

    Raises:
        ValueError: they were not made alike.
    """
    if (first.metric, first.k) != (second.metric, second.k):
        raise ValueError(
            f"expected two decodings made alike, found {first.metric} with k {first.k} and "
            f"{second.metric} with k {second.k}"
        )
    here, there = _positions(first), _positions(second)
    both = [
        SharedToken(token, tuple(here[token]), tuple(there[token]))
        for token in here
        if token in there
    ]
    both.sort(key=lambda one: -len(one.first) - len(one.second))
    return SharedTokens(
        prompts=(first.prompt, second.prompt),
        metric=first.metric,
        k=first.k,
        shared=tuple(both),
        union=len(here.keys() | there.keys()),
    )


def _positions(decoding: Decoding) -> dict[str, list[int]]:
    """Positions by token string, in the order in which the strings appear."""
    found: dict[str, list[int]] = {}
    for position in decoding.positions:
        for token in dict.fromkeys(plain_string(near.token) for near in position.neighbours):
            found.setdefault(token, []).append(position.position)
    return found


def token_strings(ids: IntArray, vocabulary: Vocabulary) -> frozenset[str]:
    """The strings of token ids of any shape, without the mark of a leading or trailing space.

    So words meet across tokenizers: some mark where words begin, others where they go on or end.
    """
    return frozenset(plain_string(vocabulary.tokens[int(i)]) for i in np.unique(ids))


def plain_string(token: str) -> str:
    """A token as it is shown, without the marks of spaces around it unless it is nothing else."""
    return token.removeprefix(_SPACE).removesuffix(_SPACE) or token


def jaccard(decoded: Sequence[Set[str]]) -> Float64Array:
    """|A ∩ B| / |A ∪ B| of every two sets, [N, N]; two empty sets are alike.

    Source: Jaccard 1912, "The distribution of the flora in the alpine zone".
    """
    from scipy.sparse import csr_array

    column = {text: n for n, text in enumerate(sorted(set().union(*decoded)))}
    sizes = np.array([len(strings) for strings in decoded])
    columns = [column[text] for strings in decoded for text in strings]
    rows = np.repeat(np.arange(len(decoded)), sizes)
    shape = (len(decoded), max(1, len(column)))
    holds = csr_array((np.ones(len(columns)), (rows, columns)), shape=shape)
    shared = (holds @ holds.T).toarray()
    union = sizes[:, None] + sizes - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 1.0)


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

    def _rows(self) -> Any:
        """[P, P′], positions on both sides."""
        return self.cosines


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
