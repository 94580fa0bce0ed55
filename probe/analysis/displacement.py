"""Where did training move a soft prompt? Tokens nearest to what was added to the start.

The position of a row tells where training began; the difference between row and start tells what
was learned, as far as rows move along directions of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probe.analysis.neighbours import Neighbours, nearest_rows, nearest_tokens
from probe.errors import NotDecodableError
from probe.prompt import SoftPrompt
from probe.vocabulary import Rows, Vocabulary

Floats = NDArray[np.float32]
StartSource = Literal["recorded", "inferred"]

_FLIPS = 999
"""Random sign patterns beside the observed one."""


@dataclass(frozen=True, eq=False)
class StartRows:
    """The rows a prompt's training began from, as far as they are known."""

    rows: Floats
    """[n, H] embeddings of the start tokens."""
    positions: NDArray[np.int64]
    """[n] positions of the prompt they belong to, ascending."""
    token_ids: tuple[int, ...]
    """[n]"""
    source: StartSource


@dataclass(frozen=True, eq=False)
class Displacement:
    """What training added to a prompt's rows, as tokens."""

    start: StartRows
    rows: Floats
    """[n, H] row minus start."""
    mean: Floats
    """[H] their mean."""
    near_mean: Neighbours
    """The tokens nearest to the mean by cosine, [1, k]."""
    near_rows: Neighbours
    """The tokens nearest to each row's own displacement by cosine, [n, k]."""
    sign_flip_p: float
    """Share of random sign patterns of the rows' displacements whose mean comes as near to a
    token: small where the rows agree on a token's direction. 1 for a prompt of one row."""


def infer_start(prompt: SoftPrompt, vocabulary: Vocabulary, chance: float) -> StartRows:
    """The start of a prompt: recorded in its file, else the tokens that its rows never left.

    Args:
        prompt: P rows.
        vocabulary: the base model's.
        chance: best cosine that hardly any row drawn at random reaches; a row nearer to a token
            than that is taken to have started there.

    Raises:
        NotDecodableError: the start is not recorded, and at most half of the rows are near to a
            token.
    """
    if prompt.init_token_ids is not None:
        ids = np.array(prompt.init_token_ids)
        return StartRows(
            vocabulary.rows(ids), np.arange(len(ids)), tuple(map(int, ids)), "recorded"
        )
    near = nearest_tokens(prompt.embeddings, vocabulary, "cosine", k=1)
    stayed = np.flatnonzero(near.scores[:, 0] > chance)
    if 2 * len(stayed) <= len(prompt):
        raise NotDecodableError(
            f"{prompt.name}: its file does not say what training began from, and only "
            f"{len(stayed)} of {len(prompt)} rows are near enough to a token to have begun there: "
            "a displacement needs the start"
        )
    ids = near.ids[stayed, 0]
    return StartRows(vocabulary.rows(ids), stayed, tuple(map(int, ids)), "inferred")


def displacement(
    prompt: SoftPrompt,
    vocabulary: Vocabulary,
    start: StartRows,
    *,
    k: int = 20,
    centre: bool = False,
    allowed: NDArray[np.bool_] | None = None,
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
    rows = prompt.embeddings[start.positions] - start.rows
    if not np.any(rows):
        raise NotDecodableError(f"{prompt.name}: no row has moved from its start")
    table: Rows = vocabulary.search_table
    if centre:
        table = vocabulary.rows(slice(None)) - _mean_row(vocabulary)
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


def _mean_row(vocabulary: Vocabulary) -> Floats:
    rows = vocabulary.rows(slice(None))
    mean: Floats = rows.mean(0, dtype=np.float64).astype(np.float32)
    return mean


def _sign_flip_p(rows: Floats, table: Rows, allowed: NDArray[np.bool_] | None, seed: int) -> float:
    """Randomisation test: is the mean nearer to a token than means of rows with random signs?

    The statistic is the length of the mean times its best cosine, the longest projection of the
    mean on a token's direction; under the null hypothesis each row is as likely to have moved
    the other way.
    """
    if len(rows) < 2:
        return 1.0
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.array([-1.0, 1.0], np.float32), (_FLIPS, len(rows)))
    signs = np.concatenate([np.ones((1, len(rows)), np.float32), signs])
    means: Floats = (signs @ rows) / np.float32(len(rows))
    best = nearest_rows(means, table, "cosine", k=1, allowed=allowed).scores[:, 0]
    projected = best * np.linalg.norm(means, axis=1)
    return float((projected >= projected[0] * (1 - 1e-9)).mean())
