"""Prompt folders `prompts/name@version/`, the workspace's truth: vectors beside `card.json`."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from probe import formats
from probe.errors import PromptFormatError, WorkspaceError
from probe.prompt import AnyPrompt
from probe.store.card import CARD_FILE, Card, parse_card
from probe.store.files import folder_aside, replace_file
from probe.store.history import EvaluationRecord, append_record, read_history

Cards = list[Card]

_ID = re.compile(r"(?P<name>[^@]+)@(?P<version>[1-9]\d*)")


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
        with folder_aside(self.root) as aside:
            folder = _store_vectors(prompt, aside / "prompt")
            while True:
                card = dataclasses.replace(card, version=self._last_version(card.name) + 1)
                (folder / CARD_FILE).write_bytes(_document(card))
                try:
                    folder.rename(self.root / card.id)
                except OSError:
                    if not (self.root / card.id).exists():
                        raise
                else:
                    return card

    def load(self, id_: str) -> AnyPrompt:
        """The prompt in a folder, under its exact name.

        Raises:
            PromptFormatError: its file is damaged.
        """
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
                f"{path} cannot be read ({error}): remove its folder and add the prompt again"
            ) from error
        if card.id != id_:
            raise WorkspaceError(f"{path} is the card of {card.id}: rename its folder to that")
        return card

    def rewrite(self, card: Card) -> None:
        """Replace the card in its folder."""
        replace_file(self.root / card.id / CARD_FILE, _document(card))

    def history(self, id_: str) -> list[EvaluationRecord]:
        """The evaluations of a prompt, oldest first.

        Raises:
            WorkspaceError: their file is damaged.
        """
        return read_history(self.root / id_)

    def append(self, id_: str, record: EvaluationRecord) -> list[EvaluationRecord]:
        """Add an evaluation; returns all of them."""
        return append_record(self.root / id_, record)

    def versions(self, name: str) -> Cards:
        """The cards of one name, oldest first."""
        ids = [id_ for id_ in self.ids() if id_.rpartition("@")[0] == name]
        return sorted((self.card(id_) for id_ in ids), key=lambda card: card.version)

    def remove(self, id_: str) -> None:
        """Delete a folder; it is gone at once or not at all."""
        with folder_aside(self.root) as aside:
            (self.root / id_).rename(aside / "removed")

    def _last_version(self, name: str) -> int:
        # In lower case: some file systems take `A@1` and `a@1` for one folder.
        ids = (id_.rpartition("@") for id_ in self.ids())
        return max((int(v) for other, _, v in ids if other.lower() == name.lower()), default=0)


def _store_vectors(prompt: AnyPrompt, folder: Path) -> Path:
    """A new folder with the prompt's file: a PEFT adapter where PEFT can express the prompt."""
    try:
        formats.save(prompt, folder, to="peft")
    except PromptFormatError:
        folder.mkdir(exist_ok=True)
        formats.save(prompt, folder / "prompt.safetensors", to="safetensors")
    return folder


def _document(card: Card) -> bytes:
    return json.dumps(card.to_json(), indent=2, ensure_ascii=False).encode("utf-8", "replace")
