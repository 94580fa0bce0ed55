"""Prompts that are kept: never overwritten, found by `name` or `name@version`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from probe.errors import PromptFormatError, WorkspaceError
from probe.prompt import AnyPrompt
from probe.store.arrays import Arrays, cached_arrays
from probe.store.card import Card, card_of, clean_tags, workspace_name
from probe.store.files import file_stamp, leftovers, remove_leftovers
from probe.store.folders import Cards, PromptFolders
from probe.store.history import EvaluationRecord, indexed_history, put_history
from probe.store.index import Index, forget, ids, put
from probe.store.runs import RunFolders
from probe.store.studies import StudyFolders
from probe.store.tasks import TaskFolders


def default_root() -> Path:
    """`$PROBE_HOME`, else the platform's user data folder."""
    if home := os.environ.get("PROBE_HOME"):
        return Path(home).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("probe", appauthor=False)


class Workspace:
    """A folder of prompts and runs, an index, and a cache. Making one touches no disk."""

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = default_root() if root is None else Path(root).expanduser().absolute()
        self.cache = self.root / "cache"
        self.prompts = PromptFolders(self.root / "prompts")
        self.runs = RunFolders(self.root / "runs")
        self.tasks = TaskFolders(self.root / "tasks")
        self.studies = StudyFolders(self.root / "studies")
        self.index = Index(self.root / "library.sqlite")

    def save(self, prompt: AnyPrompt, *, tags: Sequence[str] = (), note: str = "") -> Card:
        """Keep a prompt under its own name; a name that exists gets the next version.

        Raises:
            WorkspaceError: the workspace cannot be written.
        """
        created = datetime.now(UTC).isoformat(timespec="seconds")
        card = card_of(prompt, name=workspace_name(prompt.name), version=1, created=created)
        card = dataclasses.replace(card, tags=clean_tags(tags), note=note)
        with self._explained():
            card = self.prompts.publish(prompt, card)
        with self.index.writing() as db:
            put(db, card)
        return card

    def get(self, reference: str) -> AnyPrompt:
        """The prompt called `name@version`, or the newest version of `name`.

        Raises:
            WorkspaceError: there is no such prompt.
            PromptFormatError: its file is damaged.
        """
        return self.prompts.load(self.card(reference).id)

    def card(self, reference: str) -> Card:
        """The card of `name@version`, or of the newest version of `name`.

        Raises:
            WorkspaceError: there is no such prompt, or its card is damaged.
        """
        versions = self.history(reference)
        if "@" not in reference:
            return versions[-1]
        for card in versions:
            if card.id == reference:
                return card
        raise WorkspaceError(
            f"the workspace has no {reference}: expected one of "
            f"{', '.join(card.id for card in versions)}"
        )

    def history(self, reference: str) -> Cards:
        """Every version of a prompt, oldest first.

        Raises:
            WorkspaceError: there is no such prompt, or a card is damaged.
        """
        versions = self.prompts.versions(reference.partition("@")[0])
        if not versions:
            raise WorkspaceError(
                f"the workspace {self.root} has no prompt {reference}: see `probe library`"
            )
        return versions

    def list(self, tag: str | None = None) -> Cards:
        """Every card, by name and version, or those that carry a tag."""
        if not self.prompts.root.is_dir():
            return []  # looking does not create a workspace
        self._sync()
        return self.index.cards(tag)

    def stamp(self) -> tuple[int, ...]:
        """What differs whenever `list` may give something else; no file is opened."""
        return *file_stamp(self.prompts.root), *self.index.stamp()

    def search(self, words: str) -> Cards:
        """Cards that hold every word, in any letter case, in name, task, model, tags or note."""
        return [card for card in self.list() if card.matches(words)]

    def tag(self, reference: str, *tags: str) -> Card:
        """Add tags to a prompt."""
        return self._edit(
            reference, lambda card: dataclasses.replace(card, tags=clean_tags((*card.tags, *tags)))
        )

    def untag(self, reference: str, *tags: str) -> Card:
        """Take tags off a prompt."""
        off = set(clean_tags(tags))
        return self._edit(
            reference,
            lambda card: dataclasses.replace(
                card, tags=tuple(t for t in card.tags if t not in off)
            ),
        )

    def annotate(self, reference: str, note: str) -> Card:
        """Set a prompt's note in place of the one before."""
        return self._edit(reference, lambda card: dataclasses.replace(card, note=note))

    def record(self, reference: str, evaluation: EvaluationRecord) -> Sequence[EvaluationRecord]:
        """Add an evaluation to a prompt's history; returns all of it, oldest first.

        Raises:
            WorkspaceError: there is no such prompt, or its history cannot be read or written.
        """
        with self.index.writing() as db, self._explained():
            card = self.card(reference)
            history = self.prompts.append(card.id, evaluation)
            put(db, card)
            put_history(db, card.id, history)
        return history

    def evaluations(self) -> Sequence[tuple[str, EvaluationRecord]]:
        """Every evaluation of every prompt, with the prompt's id, oldest first."""
        if not self.prompts.root.is_dir():
            return []
        self._sync()
        with self.index.writing() as db:
            return indexed_history(db, self.index.path)

    def remove(self, reference: str) -> Card:
        """Delete one version of a prompt.

        Raises:
            WorkspaceError: there is no such prompt, or the name has several versions.
        """
        versions = self.history(reference)
        if "@" not in reference and len(versions) > 1:
            raise WorkspaceError(
                f"{reference} has {len(versions)} versions: name one of "
                f"{', '.join(card.id for card in versions)}"
            )
        card = self.card(reference)
        with self._explained():
            self.prompts.remove(card.id)
        with self.index.writing() as db:
            forget(db, card.id)
        return card

    def cached_arrays(self, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays kept under a key; computed, and kept, when none can be read."""
        return cached_arrays(self.cache, key, compute)

    def problems(self) -> Sequence[str]:
        """What is wrong with the workspace, a line each; empty when it is healthy."""
        found = []
        for id_ in sorted(self.prompts.ids()):
            try:
                self.prompts.card(id_)
                self.prompts.load(id_)
                self.prompts.history(id_)
            except (WorkspaceError, PromptFormatError) as error:
                found.append(str(error))
        try:
            if self.index.path.exists() and (verdict := self.index.check()) != "ok":
                found.append(f"{self.index.path}: {verdict}: run `probe doctor --rebuild`")
        except WorkspaceError as error:
            found.append(str(error))
        return found

    def leftovers(self) -> Sequence[Path]:
        """What killed processes left half written; nothing reads it."""
        return [path for folder in self._folders for path in leftovers(folder)]

    def remove_leftovers(self) -> Sequence[Path]:
        """Delete what killed processes left half written."""
        return [path for folder in self._folders for path in remove_leftovers(folder)]

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self.prompts.root, self.runs.root, self.tasks.root, self.cache

    def rebuild(self) -> int:
        """Make the index anew from the prompt folders; returns the number of prompts in it."""
        with self._explained():
            self.index.delete()
        return len(self.list())

    def _sync(self) -> None:
        """Bring the index up to the folders: a process may have died between the two."""
        with self.index.writing() as db:
            known, there = ids(db), self.prompts.ids()
            for gone in known - there:
                forget(db, gone)
            for new in sorted(there - known):
                try:
                    put(db, self.prompts.card(new))
                    put_history(db, new, self.prompts.history(new))
                except WorkspaceError:
                    continue  # a damaged card must not hide the others; `problems` reports it

    def _edit(self, reference: str, change: Callable[[Card], Card]) -> Card:
        with self.index.writing() as db, self._explained():
            card = change(self.card(reference))
            self.prompts.rewrite(card)
            put(db, card)
        return card

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WorkspaceError(
                f"the workspace {self.root} cannot be written ({error.strerror or error}): "
                "free space, or set PROBE_HOME to a folder of yours"
            ) from error
