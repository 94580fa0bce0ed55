"""Finished runs, kept by content so that nothing is trained twice."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from probe import formats
from probe.atomic import make_private
from probe.digests import digest_of
from probe.errors import PromptFormatError
from probe.prompt import AnyPrompt
from probe.store import keep_file
from probe.store.card import workspace_name

Kept = TypeVar("Kept")


def prompt_name(task: str | None, key: str) -> str:
    """What a finished run's prompt and its file are called, whatever its task is called."""
    return f"{workspace_name(str(task))}-{key[:10]}"


class FileCache(ABC, Generic[Kept]):
    """A folder with one file per finished piece of work, named by its key."""

    suffix: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where a result is, or will be."""
        return self.folder / f"{key}{self.suffix}"

    def put(self, key: str, data: bytes) -> None:
        """Keep a result; it is there whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        make_private(self.folder)
        digest = hashlib.sha256(data).hexdigest()
        keep_file(self._digest(key), digest.encode())
        keep_file(self.path(key), data)

    def get(self, key: str) -> Kept | None:
        """A result; None where the work must be done."""
        try:
            return self._read(self.path(key)) if self._is_whole(key) else None
        except (OSError, PromptFormatError, ValueError):  # gone or damaged: doing it again cures it
            return None

    @abstractmethod
    def _read(self, path: Path) -> Kept: ...

    def _is_whole(self, key: str) -> bool:
        """Whether a result is there, and is what was written."""
        path, digest = self.path(key), self._digest(key)
        if not path.is_file():
            return False
        # Older versions noted no digest.
        return not digest.exists() or digest.read_bytes() == digest_of(path).encode()

    def _digest(self, key: str) -> Path:
        return self.folder / f"{key}.sha256"


class ResultCache(FileCache[AnyPrompt]):
    """Prompts of finished runs with their scores, in safetensors files."""

    suffix = ".safetensors"

    def _read(self, path: Path) -> AnyPrompt:
        (prompt,) = formats.load(path)
        return prompt
