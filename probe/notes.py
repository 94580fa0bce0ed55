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
    """Say one line; while notes are collected, each different one is said once."""
    notes = _NOTES.get()
    if notes is not None:
        if line in notes:
            return
        notes.append(line)
    _LOG.warning("%s", line)


@contextmanager
def collected() -> Iterator[list[str]]:
    """The notes made inside, in order; those of a collection inside this one are among them."""
    outer, notes = _NOTES.get(), list[str]()
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)
        if outer is not None:
            outer += [line for line in notes if line not in outer]
