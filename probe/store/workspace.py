"""Prompts that are kept: never overwritten, found by `name` or `name@version`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from probe.atomic import all_leftovers, remove_path
from probe.errors import WorkspaceError
from probe.paths import full_path, home
from probe.prompt import AnyPrompt
from probe.store.card import Card, card_of, clean_tags, kept_name
from probe.store.files import Arrays, cached_arrays, file_stamp, unwritable
from probe.store.folders import Cards, PromptFolders
from probe.store.history import EvaluationRecord
from probe.store.index import Index, IndexUnusableError
from probe.store.indexed import IndexedFolders, job_problems, problems
from probe.store.jobs import JobFolders
from probe.store.samples import sample_folders
from probe.store.tasks import TaskFolders
from probe.texts import counted, did_you_mean


class Workspace:
    """A folder of prompts and runs, an index, and a cache. Making one touches no disk."""

    def __new__(cls, root: str | os.PathLike[str] | None = None) -> Self:
        """One that is given stays the one it is: what may not be written to it still may not."""
        return root if isinstance(root, cls) else super().__new__(cls)

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        if root is self:
            return
        self.root = home() if root is None else full_path(root)
        self.cache = self.root / "cache"
        self.prompts = PromptFolders(self.root / "prompts")
        self.jobs = JobFolders(self.root / "runs", self.root / "studies")
        self.runs, self.studies = (JobFolders(root) for root in self.jobs.roots)
        self.tasks = TaskFolders(self.root / "tasks")
        self.index = Index(self.root / "library.sqlite")
        self._indexed = IndexedFolders(self.prompts, self.index)

    def __fspath__(self) -> str:
        return str(self.root)

    def save(self, prompt: AnyPrompt, *, tags: Sequence[str] = (), note: str = "") -> Card:
        """Keep a prompt under its own name; a name that exists gets the next version.

        Raises:
            WorkspaceError: the workspace cannot be written.
        """
        created = datetime.now(UTC).isoformat(timespec="seconds")
        card = card_of(prompt, name=kept_name(prompt.name), version=1, created=created)
        card = dataclasses.replace(card, tags=clean_tags(tags), note=note)
        with self._explained():
            card = self.prompts.publish(prompt, card)
        self._indexed.enter(card.id)
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
        return self.prompts.card(self._id(reference))

    def history(self, reference: str) -> Cards:
        """Every version of a prompt whose card can be read, oldest first.

        Raises:
            WorkspaceError: there is no such prompt, or every card of it is damaged.
        """
        versions = self._versions(reference)
        cards = [self.prompts.card_or_none(id_) for id_ in versions]
        found = [card for card in cards if card is not None]
        return found or [self.prompts.card(versions[-1])]

    def list(self, tag: str | None = None) -> Cards:
        """Every card, by name and version, or those that carry a tag."""
        if not self.prompts.root.is_dir():
            return []  # looking does not create a workspace
        return self._indexed.cards(tag)

    def damaged(self) -> Sequence[tuple[str, str]]:
        """Prompts whose card cannot be read, which `list` lacks, and what is wrong with each."""
        return self.prompts.damaged()

    def stamp(self) -> tuple[int, ...]:
        """What differs whenever `list` may give something else; no file is opened."""
        every = sorted(self.prompts.ids())
        return sum((self.prompts.stamp(id_) for id_ in every), file_stamp(self.prompts.root))

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
        id_ = self.card(reference).id
        with self._explained():
            return self._indexed.alone(id_, lambda: self.prompts.append(id_, evaluation))

    def evaluations(self) -> Sequence[tuple[str, EvaluationRecord]]:
        """Every evaluation of every prompt, with the prompt's id, oldest first."""
        if not self.prompts.root.is_dir():
            return []
        return self._indexed.history()

    def remove(self, reference: str) -> Card | None:
        """Delete one version of a prompt, damaged or not; a full disk does not hinder it.

        Returns:
            Its card; None where that could not be read.

        Raises:
            WorkspaceError: there is no such prompt, or the name has several versions.
        """
        id_ = self.one_version(reference)
        card = self.prompts.card_or_none(id_)
        with self._explained():
            self.prompts.remove(id_)
        self._indexed.enter(id_)
        return card

    def one_version(self, reference: str) -> str:
        """The exact name of a prompt that is to be removed.

        Raises:
            WorkspaceError: there is no such prompt, or the name has several versions.
        """
        versions = self._versions(reference)
        if "@" not in reference and len(versions) > 1:
            raise WorkspaceError(
                f"{reference} has {counted(len(versions), 'version')}: name one of "
                f"{', '.join(versions)}"
            )
        return self._id(reference)

    def cached_arrays(
        self, key: str, compute: Callable[[], Arrays], fits: Callable[[Arrays], bool]
    ) -> Arrays:
        """The arrays kept under a key; computed, and kept, when none that fit can be read."""
        return cached_arrays(self.cache, key, compute, fits)

    def problems(self) -> Sequence[str]:
        """What is wrong with the workspace, a line each; empty when it is healthy."""
        found = job_problems(self.jobs)
        if not (self.index.path.exists() or self.prompts.root.is_dir()):
            return found  # looking does not create a workspace
        try:
            self._indexed.sync()
        except IndexUnusableError as error:
            return [*found, *problems(self.prompts, None), str(error)]
        except WorkspaceError as error:
            return [*found, str(error)]
        return [*found, *problems(self.prompts, self.index)]

    def leftovers(self) -> Sequence[Path]:
        """What killed processes left half written; nothing reads it."""
        return all_leftovers(self.root)

    def remove_leftovers(self) -> Sequence[Path]:
        """Delete what killed processes left half written, and what is a week in the trash."""
        self.jobs.empty_trash()
        return [path for path in self.leftovers() if remove_path(path)]

    def rebuild(self) -> int:
        """Make the index anew from the prompt folders; returns the number of prompts in it."""
        with self._explained():
            self.index.delete()
        return len(self.list())

    def _edit(self, reference: str, change: Callable[[Card], Card]) -> Card:
        id_ = self.card(reference).id

        def rewritten() -> Card:
            card = change(self.prompts.card(id_))
            self.prompts.rewrite(card)
            return card

        with self._explained():
            return self._indexed.alone(id_, rewritten)

    def _versions(self, reference: str) -> Sequence[str]:
        name = reference.partition("@")[0]
        versions = self.prompts.versions(name)
        if not versions:
            raise WorkspaceError(
                f"the workspace {self.root} has no prompt {reference}: {self._instead_of(name)}"
            )
        return versions

    def _instead_of(self, name: str) -> str:
        """What to do where no prompt has a name."""
        if name in sample_folders():
            return (
                f"{name} is a sample, which is not changed; `probe library add {name}` keeps a "
                "copy that can be"
            )
        return f"see `probe library`{did_you_mean(name, self.prompts.names())}"

    def _id(self, reference: str) -> str:
        """The exact name of `name@version`, or of the newest version of `name`."""
        versions = self._versions(reference)
        if "@" not in reference:
            return versions[-1]
        if reference not in versions:
            raise WorkspaceError(
                f"the workspace has no {reference}: expected one of {', '.join(versions)}"
            )
        return reference

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self.root, error) from error
