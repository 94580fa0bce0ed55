"""Finished runs, kept by content so that nothing is trained twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

from probe import formats
from probe.atomic import make_private
from probe.digests import digest_of
from probe.errors import PromptFormatError
from probe.prompt import AnyPrompt
from probe.store import keep_file
from probe.store.card import workspace_name


def prompt_name(task: str | None, key: str) -> str:
    """What a finished run's prompt and its file are called, whatever its task is called."""
    return f"{workspace_name(str(task))}-{key[:10]}"


class ResultCache:
    """A folder with one safetensors file per finished run, named by its key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where a run's prompt and scores are, or will be."""
        return self.folder / f"{key}.safetensors"

    def put(self, key: str, data: bytes) -> None:
        """Keep a finished run; it is there whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        make_private(self.folder)
        digest = hashlib.sha256(data).hexdigest()
        keep_file(self._digest(key), digest.encode())
        keep_file(self.path(key), data)

    def get(self, key: str) -> AnyPrompt | None:
        """A finished run's prompt with its scores; None where it must be trained."""
        try:
            if not self._is_whole(key):
                return None
            (prompt,) = formats.load(self.path(key))
        except (OSError, PromptFormatError):  # gone or damaged: training again cures it
            return None
        return prompt

    def _is_whole(self, key: str) -> bool:
        """Whether a finished run is there, and is what was written.

        Raises:
            OSError: it cannot be read.
        """
        path, digest = self.path(key), self._digest(key)
        if not path.is_file():
            return False
        # Older versions noted no digest.
        return not digest.exists() or digest.read_bytes() == digest_of(path).encode()

    def _digest(self, key: str) -> Path:
        return self.folder / f"{key}.sha256"
