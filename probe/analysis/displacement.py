"""Where did training move a soft prompt? Tokens nearest to what was added to the start.

The position of a row tells where training began; the difference between row and start tells what
was learned, as far as rows move along directions of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe.analysis.neighbours import Neighbours, nearest_rows, nearest_tokens
from probe.analysis.references import like_vocabulary
from probe.analysis.starts import rows_as_read
from probe.arrays import (
    Arrays,
    BoolArray,
    Cached,
    Float32Array,
    Float64Array,
    IntArray,
    are_numbers,
    uncached,
)
from probe.errors import NotDecodableError
from probe.prompt import START_NEAREST, SoftPrompt
from probe.texts import counted
from probe.vocabulary import Rows, Vocabulary

StartSource = Literal["recorded", "inferred"]

FEWEST_FLIPPED = 5
"""Rows whose signs are turned at random; fewer have too few patterns to tell anything."""
_FLIPS = 199
"""Random sign patterns beside the observed one."""
_LEAD_ROWS = 300
_LEAD_RANK = 10


@dataclass(frozen=True, eq=False)
class StartRows:
    """The rows a prompt's training began from, as far as they are known."""

    rows: Float32Array
    """[n, H] embeddings of the start tokens."""
    positions: IntArray
    """[n] positions of the prompt they belong to, ascending."""
    token_ids: tuple[int, ...]
    """[n]"""
    source: StartSource


@dataclass(frozen=True, eq=False)
class Displacement:
    """What training added to a prompt's rows, as tokens."""

    start: StartRows
    rows: Float32Array
    """[n, H] row minus start."""
    mean: Float32Array
    """[H] their mean."""
    near_mean: Neighbours
    """The tokens nearest to the mean by cosine, [1, k]."""
    near_rows: Neighbours
    """The tokens nearest to each row's own displacement by cosine, [n, k]."""
    sign_flip_p: float | None
    """Share of random sign patterns of the rows' displacements whose mean comes as near to a
    token by cosine: small where the rows agree on a token's direction. None below 5 rows."""


def chance_lead(vocabulary: Vocabulary, *, seed: int = 0, cached: Cached = uncached) -> float:
    """The largest lead of the nearest token among rows drawn like the vocabulary.

    The lead is the cosine of a row's nearest token less that of its tenth nearest. Best cosines
    alone do not tell: in tables with a common direction rows at random come near to many tokens.
    """

    def compute() -> Arrays:
        drawn = like_vocabulary(
            vocabulary.rows(slice(None)), _LEAD_ROWS, np.random.default_rng(seed)
        )
        return {"leads": _leads(drawn.astype(np.float32), vocabulary)[0]}

    key = f"start-leads-1-{vocabulary.fingerprint}-{seed}-{_LEAD_ROWS}"
    found = cached(key, compute, lambda arrays: are_numbers(arrays, {"leads": (_LEAD_ROWS,)}))
    return float(found["leads"].max())


def _leads(rows: Float32Array, vocabulary: Vocabulary) -> tuple[Float64Array, IntArray]:
    """Lead and id of each row's nearest token, [n] both."""
    near = nearest_tokens(rows, vocabulary, "cosine", k=_LEAD_RANK)
    return near.scores[:, 0] - near.scores[:, -1], near.ids[:, 0]


def infer_start(prompt: SoftPrompt, vocabulary: Vocabulary, chance: float) -> StartRows:
    """The start of a prompt: recorded in its file, else the tokens that its rows never left.

    Args:
        prompt: P rows.
        vocabulary: the base model's.
        chance: from `chance_lead`; a row whose nearest token leads by more is taken to have
            started there.

    Raises:
        NotDecodableError: the start is not recorded, and at most half of the rows are near to a
            token, or it is known to have been none.
    """
    if prompt.init_token_ids is not None and max(prompt.init_token_ids) < len(vocabulary):
        ids = np.array(prompt.init_token_ids)
        return StartRows(
            vocabulary.rows(ids), np.arange(len(ids)), tuple(map(int, ids)), "recorded"
        )
    if START_NEAREST in prompt.config:
        raise NotDecodableError(
            f"{prompt.name}: its training began from rows that are no tokens and that its file "
            "does not hold: a displacement needs the start"
        )
    leads, nearest = _leads(prompt.embeddings, vocabulary)
    stayed = np.flatnonzero(leads > chance)
    if 2 * len(stayed) <= len(prompt):
        raise NotDecodableError(
            f"{prompt.name}: its file does not say what training began from, and only "
            f"{len(stayed)} of {counted(len(prompt), 'row')} point to one token so plainly that "
            "they may have begun there: a displacement needs the start"
        )
    ids = nearest[stayed]
    return StartRows(vocabulary.rows(ids), stayed, tuple(map(int, ids)), "inferred")


def displacement(
    prompt: SoftPrompt,
    vocabulary: Vocabulary,
    start: StartRows,
    *,
    k: int = 20,
    centre: bool = False,
    allowed: BoolArray | None = None,
    seed: int = 0,
) -> Displacement:
    """The tokens nearest to what training added to a prompt's rows.

    Args:
        prompt: P rows of width H.
        vocabulary: the base model's tokens and table [V, H].
        start: where its rows began.
        k: tokens of each list.
        centre: take the mean row of the table off every token first.
        allowed: [V], tokens that may be named; all where None.
        seed: of the sign patterns.

    Raises:
        NotDecodableError: no row has moved.
    """
    rows = rows_as_read(prompt, vocabulary)[start.positions] - start.rows
    if not np.any(rows):
        raise NotDecodableError(f"{prompt.name}: no row has moved from its start")
    table: Rows = vocabulary.search_table
    if centre:
        tokens = vocabulary.rows(slice(None))
        table = tokens - tokens.mean(0, dtype=np.float64).astype(np.float32)
    mean = rows.mean(0)
    near_mean = nearest_rows(mean[None], table, "cosine", k=k, allowed=allowed)
    return Displacement(
        start=start,
        rows=rows,
        mean=mean,
        near_mean=near_mean,
        near_rows=nearest_rows(rows, table, "cosine", k=k, allowed=allowed),
        sign_flip_p=_sign_flip_p(rows, table, allowed, seed),
    )


def _sign_flip_p(
    rows: Float32Array, table: Rows, allowed: BoolArray | None, seed: int
) -> float | None:
    """Randomisation test: is the mean nearer to a token than means of rows with random signs?

    The statistic is the mean's best cosine; under the null hypothesis each row is as likely to
    have moved the other way. The length of the mean is left out: rows trained on nothing share
    directions too, so that their mean is longer than with random signs. Of n rows one pattern
    in 2ⁿ is the observed one: below 5 rows p could never be small.
    """
    if len(rows) < FEWEST_FLIPPED:
        return None
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.array([-1.0, 1.0], np.float32), (_FLIPS, len(rows)))
    signs = np.concatenate([np.ones((1, len(rows)), np.float32), signs])
    best = best_cosines(signs @ rows, table, allowed)
    return float((best >= best[0] - 1e-6).mean())


def best_cosines(
    queries: Float32Array, table: Rows, allowed: BoolArray | None = None
) -> Float64Array:
    """The cosine of each query [Q, H] with the token nearest to it, [Q]."""
    return nearest_rows(queries, table, "cosine", k=1, allowed=allowed).scores[:, 0]
