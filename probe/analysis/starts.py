"""Which tokens did the rows of a prompt start from, and which rows are still nearest to theirs?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probe.analysis.neighbours import Neighbours, nearest_tokens
from probe.arrays import BoolArray, Float32Array, IntArray
from probe.errors import NotComparableError
from probe.linalg import unit_rows
from probe.prompt import START_NEAREST, AnyPrompt, SoftPrompt
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
    """How much of a likeness two prompts had before they were trained, in words.

    Args:
        shared: positions that began from the same token, or `UNKNOWN`.
        of: positions of the shorter prompt.
    """
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
    changes: Float32Array = prompt.embeddings - vocabulary.rows(list(ids))
    return changes
