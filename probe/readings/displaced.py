"""Displacement: the tokens nearest to what training added to the rows a prompt started from."""

from __future__ import annotations

import dataclasses

from probe.analysis.displacement import Displacement, displacement
from probe.prompt import SoftPrompt
from probe.readings.controls import Judged, control_statistics, judged
from probe.readings.reading import TOKENS, Reading, RowTokens, Subject

FLIPS = "the same rows, each moved forwards or backwards at random"
_SEARCHED = 3 * TOKENS
"""Tokens looked through for so many different words."""


def read_displacement(subject: Subject) -> Reading:
    """The tokens nearest to the mean of row minus start, and to each row's own.

    Raises:
        NotDecodableError: the start is not known, no row has moved, or the prompt has no nearest
            tokens in this table.
    """
    return _read("displacement", subject, centre=False)


def read_displacement_centred(subject: Subject) -> Reading:
    """The same with the table's mean row taken off every token first.

    Raises:
        NotDecodableError: as above.
    """
    return _read("displacement_centred", subject, centre=True)


def _read(name: str, subject: Subject, *, centre: bool) -> Reading:
    start, prompt = subject.start, subject.prompt
    assert isinstance(prompt, SoftPrompt)  # others have no start rows
    found = displacement(
        prompt,
        subject.vocabulary,
        start,
        k=_SEARCHED,
        centre=centre,
        allowed=subject.allowed,
        seed=subject.seed,
    )
    worth = _judged(name, subject, found)
    return dataclasses.replace(as_reading(name, subject, found), **worth._asdict())


def as_reading(name: str, subject: Subject, found: Displacement) -> Reading:
    """The tokens nearest to the mean of what was added to rows, and to each row's, unjudged."""
    ids, scores = found.near_mean.ids[0], found.near_mean.scores[0]
    return Reading(
        name,
        tokens=subject.tokens(ids[:TOKENS], scores[:TOKENS]),
        text=", ".join(subject.words(ids)[:TOKENS]),
        rows=tuple(
            RowTokens(int(position), subject.tokens(near[:TOKENS], far[:TOKENS]))
            for position, near, far in zip(
                subject.start.positions, found.near_rows.ids, found.near_rows.scores, strict=True
            )
        ),
        start=subject.start.source,
    )


def _judged(name: str, subject: Subject, found: Displacement) -> Judged:
    controls = control_statistics(name, subject.vocabulary, len(subject.prompt), subject.rates)
    if controls is not None and not subject.has_labels:
        return judged(float(found.near_mean.scores[0, 0]), controls)
    return by_flips(found)


def by_flips(found: Displacement) -> Judged:
    """What moving each row backwards or forwards at random says; nothing of a few rows."""
    return Judged() if found.sign_flip_p is None else Judged(found.sign_flip_p, FLIPS)
