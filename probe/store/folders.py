"""Prompt folders `prompts/name@version/`, the workspace's truth: vectors beside `card.json`."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from probe import formats
from probe.atomic import (
    folder_aside,
    make_private,
    remove_folder,
    rename_to_free,
    settle,
    sync_folder,
)
from probe.digests import changed_files, write_digests
from probe.errors import PromptFormatError, WorkspaceError
from probe.formats.layouts import probe_file
from probe.prompt import AnyPrompt
from probe.store.card import CARD_FILE, Card, parse_card
from probe.store.files import file_stamp, keep_file
from probe.store.history import HISTORY_FILE, EvaluationRecord, append_record, read_history

Cards = list[Card]

_ID = re.compile(r"(?P<name>[^@]+)@(?P<version>[1-9]\d*)")
_GIVEN = ".given"
"""Folder of empty files, each named as a prompt that was removed: runs and notes still name it."""


class PromptFolders:
    """The folders of one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def ids(self) -> set[str]:
        """Every stored prompt; folders being written have other names."""
        if not self.root.is_dir():
            return set()
        return {path.name for path in self.root.iterdir() if _ID.fullmatch(path.name)}

    def names(self) -> set[str]:
        """Every name that has a version."""
        return {id_.rpartition("@")[0] for id_ in self.ids()}

    def publish(self, prompt: AnyPrompt, card: Card) -> Card:
        """Store a prompt under the first version of its name that is free.

        The folder is filled aside; renaming it decides between processes that save at once.

        Raises:
            OSError: the folder cannot be written.
        """
        make_private(self.root)
        with folder_aside(self.root, private=True) as aside:
            folder = _store_vectors(prompt, aside / "prompt")

            def places() -> Iterator[Path]:
                nonlocal card
                while True:
                    card = dataclasses.replace(card, version=self._last_version(card.name) + 1)
                    (folder / CARD_FILE).write_bytes(_document(card))
                    settle(folder, private=True)
                    yield self.root / card.id

            rename_to_free(folder, places())
        sync_folder(self.root)
        return card

    def load(self, id_: str) -> AnyPrompt:
        """The prompt in a folder, under its exact name.

        Raises:
            PromptFormatError: its file is damaged, or not the one that was stored.
        """
        if changed := changed_files(self.root / id_):
            raise PromptFormatError(
                f"{self.root / id_ / changed[0]} is not what was stored (another sha256): the disk "
                f"damaged it or somebody changed it; `probe library remove {id_}` and add it again"
            )
        return formats.load(self.root / id_)[0].renamed(id_)

    def card(self, id_: str) -> Card:
        """The card in a folder.

        Raises:
            WorkspaceError: it is damaged or missing.
        """
        path = self.root / id_ / CARD_FILE
        try:
            card = parse_card(path.read_text(encoding="utf-8"), path)
        except (OSError, UnicodeDecodeError) as error:
            raise WorkspaceError(
                f"{path} cannot be read ({error}): `probe library remove {id_}` and add it again"
            ) from error
        if card.id != id_:
            raise WorkspaceError(f"{path} is the card of {card.id}: rename its folder to that")
        return card

    def card_or_none(self, id_: str) -> Card | None:
        """The card in a folder, None where it is damaged or missing."""
        try:
            return self.card(id_)
        except WorkspaceError:
            return None

    def cards(self) -> Cards:
        """Every card that can be read."""
        found = (self.card_or_none(id_) for id_ in self.ids())
        return [card for card in found if card is not None]

    def damaged(self) -> list[tuple[str, str]]:
        """Every prompt whose card cannot be read, and why."""
        found = []
        for id_ in sorted(self.ids()):
            try:
                self.card(id_)
            except WorkspaceError as error:
                found.append((id_, str(error)))
        return found

    def rewrite(self, card: Card) -> None:
        """Replace the card in its folder."""
        keep_file(self.root / card.id / CARD_FILE, _document(card))

    def stamp(self, id_: str) -> tuple[int, ...]:
        """What differs after any change of a prompt's card or its history; no file is opened."""
        return file_stamp(self.root / id_ / CARD_FILE, self.root / id_ / HISTORY_FILE)

    def history(self, id_: str) -> list[EvaluationRecord]:
        """The evaluations of a prompt, oldest first.

        Raises:
            WorkspaceError: their file is damaged.
        """
        return read_history(self.root / id_)

    def history_or_none(self, id_: str) -> list[EvaluationRecord]:
        """The evaluations of a prompt; none where their file is damaged."""
        try:
            return self.history(id_)
        except WorkspaceError:
            return []

    def append(self, id_: str, record: EvaluationRecord) -> list[EvaluationRecord]:
        """Add an evaluation; returns all of them."""
        return append_record(self.root / id_, record)

    def versions(self, name: str) -> list[str]:
        """Every version of a name, oldest first, the damaged ones among them."""
        found = (id_ for id_ in self.ids() if id_.rpartition("@")[0] == name)
        return sorted(found, key=lambda id_: int(id_.rpartition("@")[2]))

    def loaded(self, name: str) -> Iterator[tuple[str, AnyPrompt]]:
        """Every version of a name that can be read, oldest first; damaged ones are passed over."""
        for id_ in self.versions(name):
            try:
                yield id_, self.load(id_)
            except PromptFormatError:
                continue

    def remove(self, id_: str) -> None:
        """Delete a folder, damaged or not; it is gone at once or not at all, its id for good."""
        with suppress(OSError):  # a full disk must not keep a prompt that is to make room
            make_private(self.root / _GIVEN)
            (self.root / _GIVEN / id_).touch()
        remove_folder(self.root / id_)

    def _last_version(self, name: str) -> int:
        """The highest version that a name ever had."""
        # In lower case: some file systems take `A@1` and `a@1` for one folder.
        given = self.ids() | PromptFolders(self.root / _GIVEN).ids()
        ids = (id_.rpartition("@") for id_ in given)
        return max((int(v) for other, _, v in ids if other.lower() == name.lower()), default=0)


def _store_vectors(prompt: AnyPrompt, folder: Path) -> Path:
    """A new folder with the prompt's file: a PEFT adapter where PEFT can express the prompt."""
    try:
        formats.save(prompt, folder, to="peft")
    except PromptFormatError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None  # the disk, not the layout
        folder.mkdir(exist_ok=True)
        formats.save(prompt, folder / probe_file.FILE, to="safetensors")
    folder.chmod(0o700)
    write_digests(folder, [path.name for path in folder.iterdir()])
    return folder


def _document(card: Card) -> bytes:
    return json.dumps(card.to_json(), indent=2, ensure_ascii=False).encode("utf-8", "replace")
