"""Prompt folders and the index over them: the folders are the truth, the index follows."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from probe.digests import changed_files
from probe.errors import ProbeError
from probe.store.folders import Cards, PromptFolders
from probe.store.history import EvaluationRecord
from probe.store.index import Entry, Index, IndexUnusableError, forget, put, stamps
from probe.store.jobs import JobFolder

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


class IndexedFolders:
    """Reads through the index where it can be used, and from the folders where it cannot."""

    def __init__(self, prompts: PromptFolders, index: Index) -> None:
        self._prompts, self._index = prompts, index

    def cards(self, tag: str | None) -> Cards:
        """Every card that can be read, by name and version, or those that carry a tag."""
        return [card for card, _ in self._entries() if tag is None or tag in card.tags]

    def history(self) -> list[tuple[str, EvaluationRecord]]:
        """Every evaluation with its prompt's id, oldest first."""
        every = [(card.id, record) for card, history in self._entries() for record in history]
        return sorted(every, key=lambda one: one[1].recorded)

    def _entries(self) -> list[Entry]:
        try:
            self.sync()
            return self._index.entries()
        except IndexUnusableError as error:
            _tell_of_damage(error)
            cards = sorted(self._prompts.cards(), key=lambda card: (card.name, card.version))
            return [(card, self._prompts.history_or_none(card.id)) for card in cards]

    def sync(self) -> None:
        """Bring the index up to the folders: a process may have died between the two.

        Raises:
            IndexUnusableError: it cannot be.
        """
        with self._index.writing() as db:
            known, there = stamps(db), self._prompts.ids()
            for gone in known.keys() - there:
                forget(db, gone)
            for id_ in sorted(there):
                if known.get(id_) != _written(self._prompts.stamp(id_)):
                    self._enter(db, id_)

    def enter(self, id_: str) -> None:
        """Let the index follow a folder; where it cannot, the next command's look does."""
        try:
            with self._index.writing() as db:
                self._enter(db, id_)
        except IndexUnusableError as error:
            _tell_of_damage(error)

    def alone(self, id_: str, write: Callable[[], T]) -> T:
        """Change a prompt's files while no other process changes any; the index follows.

        Raises:
            IndexUnusableError: nothing was changed, as processes cannot take turns without it.
        """
        done: list[T] = []
        try:
            with self._index.writing() as db:
                done.append(write())
                self._enter(db, id_)
        except IndexUnusableError:
            if not done:
                raise
        return done[0]

    def _enter(self, db: sqlite3.Connection, id_: str) -> None:
        """Enter a prompt as its folder is now; one that is gone or damaged leaves the index."""
        stamp = self._prompts.stamp(id_)  # first: a change meanwhile is then seen next time
        card = self._prompts.card_or_none(id_)
        if card is None:
            forget(db, id_)
        else:
            put(db, card, self._prompts.history_or_none(id_), _written(stamp))


def _written(stamp: tuple[int, ...]) -> str:
    """A stamp as the index keeps it."""
    return " ".join(map(str, stamp))


def _tell_of_damage(error: IndexUnusableError) -> None:
    """Reading goes on without an index; only one that will never work again is worth a word."""
    if error.damaged:
        _LOG.warning("%s", error)


def job_problems(jobs: Iterable[JobFolder]) -> list[str]:
    """A line for each run or study that cannot be read, and for each damaged checkpoint."""
    found = []
    for job in jobs:
        try:
            _ = job.config, job.status
        except ProbeError as error:
            found.append(str(error))
        for checkpoint in sorted(job.path.glob("checkpoints/step-*")):
            found += [
                f"{checkpoint / name} is not what was written: resume the run, which writes it "
                "anew, or delete the run"
                for name in changed_files(checkpoint)
            ]
    return found


def is_open_to_others(root: Path) -> bool:
    """Whether other users of this machine may look into a workspace, as older versions left it."""
    return os.name == "posix" and root.is_dir() and bool(stat.S_IMODE(root.stat().st_mode) & 0o077)


def problems(prompts: PromptFolders, index: Index | None) -> list[str]:
    """A line for each thing that is wrong; empty when all is well.

    Args:
        prompts: every file of theirs is read.
        index: brought up to the folders just now; None where it cannot be used.
    """
    found = [
        complaint
        for id_ in sorted(prompts.ids())
        for read in (prompts.card, prompts.load, prompts.history)
        if (complaint := _complaint(read, id_))
    ]
    return found if index is None else [*found, *_of_index(prompts, index)]


def _complaint(read: Callable[[str], object], id_: str) -> str | None:
    try:
        read(id_)
    except ProbeError as error:
        return str(error)
    return None


def _of_index(prompts: PromptFolders, index: Index) -> Iterator[str]:
    """Whether the index is whole and says what the files say.

    A file that differs although neither its time nor its size do was damaged by the disk, or
    the index was.
    """
    try:
        verdict, entries = index.check(), index.entries()
    except ProbeError as error:
        yield str(error)
        return
    if verdict != "ok":
        yield f"{index.path}: {verdict}: run `probe doctor --rebuild`"
    for card, history in entries:
        if prompts.card_or_none(card.id) not in (card, None):
            yield _differs(prompts, card.id, "card")
        elif prompts.history_or_none(card.id) != history:
            yield _differs(prompts, card.id, "history")


def _differs(prompts: PromptFolders, id_: str, what: str) -> str:
    return (
        f"the {what} in {prompts.root / id_} is not what the index holds, though nobody wrote it: "
        "look at it, then run `probe doctor --rebuild` to take it as it is"
    )
