"""Which tokens did the rows of a prompt start from, and which rows are still nearest to theirs?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probe.analysis.neighbours import Neighbours, nearest_tokens
from probe.arrays import BoolArray, IntArray
from probe.linalg import unit_rows
from probe.prompt import START_NEAREST, SoftPrompt
from probe.vocabulary import Vocabulary

_ROUNDING = 1e-6
"""Cosines that lie no farther apart are equal but for rounding."""


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
