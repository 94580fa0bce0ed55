"""Finished runs, kept by content so that nothing is trained twice."""

from __future__ import annotations

from pathlib import Path

from probe import formats
from probe.errors import PromptFormatError
from probe.prompt import AnyPrompt
from probe.store import replace_file
from probe.store.card import workspace_name


def prompt_name(task: str | None, key: str) -> str:
    """What a finished run's prompt and its file are called, whatever its task is called."""
    return f"{workspace_name(str(task))}-{key[:10]}"


class Kept:
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
        replace_file(self.path(key), data)

    def get(self, key: str) -> AnyPrompt | None:
        """A finished run's prompt with its scores; None where it must be trained."""
        if not self.path(key).is_file():
            return None
        try:
            (prompt,) = formats.load(self.path(key))
        except PromptFormatError:  # damaged: training again cures it
            return None
        return prompt
