"""Notes: what a user should know of how something was done that was not done as it might seem.

A note is a line of the log, and of the command line's stderr. A verb that wants those of its own
work in its result collects them:

    with collected() as notes:
        ...
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOG = logging.getLogger(__name__)
_NOTES: ContextVar[list[str] | None] = ContextVar("notes", default=None)


def note(line: str) -> None:
    """Say one line, or keep it for where notes are collected."""
    notes = _NOTES.get()
    if notes is None:
        _LOG.warning("%s", line)
    elif line not in notes:
        notes.append(line)


@contextmanager
def collected(*, said: bool = True) -> Iterator[list[str]]:
    """The different notes made inside, in order.

    They are said at the end; not where that is an error, which is one line and alone. A collection
    inside another leaves this to it.

    Args:
        said: False where somebody else will say them.
    """
    notes: list[str] = []
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)
    for line in notes if said else ():
        note(line)
