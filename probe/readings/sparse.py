"""Sparse sums: a few tokens whose weighted sum comes near to what the rows learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probe.analysis.decoding import require_decodable
from probe.analysis.displacement import StartSource
from probe.analysis.matching_pursuit import SparseSums, matching_pursuit
from probe.analysis.references import like_vocabulary
from probe.analysis.starts import rows_as_read
from probe.arrays import Arrays, are_numbers
from probe.errors import NotDecodableError
from probe.readings.controls import (
    CONTROL_ROWS,
    Judged,
    control_statistics,
    judged,
    p_value,
    trained_as_controls,
)
from probe.readings.reading import TOKENS, Reading, RowTokens, Subject

MOST = 16
"""Tokens of a row's sum."""
_DRAWN, _GROUPS = 100, 999


def read_sparse(subject: Subject) -> Reading:
    """Each row's displacement, or the row where no start is known, as a sum of up to 16 tokens.

    A token's score is the sum of its absolute weights over the rows, weights being of unit vectors.
    The largest score is judged by that of prompts trained on nothing, where these have as many
    rows and were trained alike. Elsewhere the share of the squared norm explained is, mean over
    rows and over 1 … 16 tokens, beside that of rows drawn like the vocabulary: their differences
    in pairs where displacements are read.

    Raises:
        NotDecodableError: no row has moved, or the prompt has no nearest tokens in this table.
    """
    rows, positions, source = _rows(subject)
    found = matching_pursuit(rows, subject.vocabulary.search_table, MOST, allowed=subject.allowed)
    ids, scores = _ranked(found)
    worth = _judged(subject, found, float(scores[0]), moved=source is not None)
    return Reading(
        "sparse",
        tokens=subject.tokens(ids[:TOKENS], scores[:TOKENS]),
        text=", ".join(subject.words(ids)[:TOKENS]),
        rows=tuple(
            _row(subject, position, own, weights)
            for position, own, weights in zip(positions, found.ids, found.weights, strict=True)
        ),
        p=worth.p,
        control=worth.control,
        start=source,
        shares=tuple(map(float, found.shares.mean(0))),
    )


def _judged(subject: Subject, found: SparseSums, best: float, *, moved: bool) -> Judged:
    rows = len(found.ids)
    alike = rows == len(subject.prompt) == CONTROL_ROWS and trained_as_controls(subject.prompt)
    if moved and alike:
        trained = control_statistics("sparse", subject.vocabulary, rows, subject.rates)
        if trained is not None:
            return judged(best, trained)
    what = "differences of rows" if moved else "rows"
    controls = _controls(subject, rows, moved=moved)
    p = p_value(float(found.shares.mean()), controls)
    return Judged(p, f"share explained of {what} drawn like the vocabulary")


def _rows(subject: Subject) -> tuple[NDArray[np.float32], list[int], StartSource | None]:
    """What is taken apart, [n, H], with its positions, and how the start is known."""
    prompt = require_decodable(subject.prompt, subject.vocabulary)
    try:
        start = subject.start
    except NotDecodableError:
        return prompt.embeddings, list(range(len(prompt))), None
    rows = rows_as_read(prompt, subject.vocabulary)[start.positions] - start.rows
    if not rows.any():
        raise NotDecodableError(f"{prompt.name}: no row has moved from its start")
    return rows, start.positions.tolist(), start.source


def _ranked(found: SparseSums) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Every token taken, with the sum of its absolute weights, largest first."""
    taken = found.ids >= 0
    ids, places = np.unique(found.ids[taken], return_inverse=True)
    sums: NDArray[np.float64] = np.bincount(
        places.ravel(), np.abs(found.weights[taken]), minlength=len(ids)
    ).astype(np.float64)
    order = np.argsort(-sums, kind="stable")
    return ids[order], sums[order]


def _row(
    subject: Subject, position: int, ids: NDArray[np.int64], weights: NDArray[np.float64]
) -> RowTokens:
    order = np.argsort(-np.abs(weights), kind="stable")[: np.count_nonzero(ids >= 0)]
    return RowTokens(position, subject.tokens(ids[order], weights[order]))


def _controls(subject: Subject, rows: int, *, moved: bool) -> NDArray[np.float64]:
    """Mean shares explained of so many rows that are drawn at random, group by group."""
    vocabulary, seed = subject.vocabulary, subject.seed

    def compute() -> Arrays:
        rng = np.random.default_rng(seed)
        drawn = like_vocabulary(vocabulary.rows(slice(None)), (1 + moved) * _DRAWN, rng)
        if moved:
            drawn = drawn[:_DRAWN] - drawn[_DRAWN:]
        sums = matching_pursuit(
            drawn.astype(np.float32), vocabulary.search_table, MOST, allowed=subject.allowed
        )
        return {"shares": sums.shares.mean(1)}

    key = f"sparse-shares-1-{vocabulary.fingerprint}-{seed}-{MOST}-{_DRAWN}-{int(moved)}"
    kept = subject.cached(key, compute, lambda found: are_numbers(found, {"shares": (_DRAWN,)}))
    shares = np.asarray(kept["shares"], dtype=np.float64)
    drawn: NDArray[np.float64] = np.random.default_rng(seed).choice(shares, (_GROUPS, rows))
    means: NDArray[np.float64] = drawn.mean(1)
    return means
