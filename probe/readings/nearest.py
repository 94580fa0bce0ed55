"""Nearest: the tokens each row stands nearest to, the field's usual reading."""

from __future__ import annotations

import numpy as np

from probe.analysis.controls import CHANCE_BELOW, NEVER_LEFT_ITS_START
from probe.analysis.decoding import Decoding
from probe.readings.reading import TOKENS, Reading, RowTokens, ScoredToken, Subject

_CONTROL = "rows drawn like the vocabulary; a row at its start counts for nothing"


def read_nearest(subject: Subject) -> Reading:
    """The tokens nearest to each row by cosine: all first choices, then all second ones.

    A row counts where it is nearer than 97.5 % of rows drawn like the vocabulary and is not still
    nearest to the token it started from; p is the chance of so many such rows. Where the start is
    not recorded nothing is judged: a near token may be where the row began.

    Raises:
        NotDecodableError: the prompt has no nearest tokens in this table.
    """
    decoding = subject.decoding
    rows = tuple(
        RowTokens(
            one.position,
            tuple(ScoredToken(near.id, near.token, near.score) for near in one.neighbours),
        )
        for one in decoding.positions
    )
    ranked = [row.tokens[rank] for rank in range(len(rows[0].tokens)) for row in rows]
    tokens = tuple({one.id: one for one in reversed(ranked)}[i] for i in _ids(ranked))
    p = _p(decoding)
    return Reading(
        "nearest",
        tokens=tokens[:TOKENS],
        text=", ".join(subject.words([one.id for one in ranked])[:TOKENS]),
        rows=rows,
        p=p,
        control=None if p is None else _CONTROL,
        control_95=_chance_95(decoding),
        start=None if p is None else "recorded",
    )


def _ids(tokens: list[ScoredToken]) -> list[int]:
    return list(dict.fromkeys(one.id for one in tokens))


def _p(decoding: Decoding) -> float | None:
    if decoding.never_left_start is None:
        return None
    from scipy.stats import binom  # slow to import

    judged = [one.controls for one in decoding.positions if one.controls is not None]
    near = sum(
        one.chance > CHANCE_BELOW and NEVER_LEFT_ITS_START not in one.flags for one in judged
    )
    return float(binom.sf(near - 1, len(judged), 1 - CHANCE_BELOW / 100))


def _chance_95(decoding: Decoding) -> float | None:
    if decoding.reference is None:
        return None
    return float(np.quantile(decoding.reference.chance, 0.95))
