"""What a field of a request may be given: names and places, or the objects themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.prompt import AnyPrompt, PromptPair
    from probe.task import Task

    PromptSource = str | Path | AnyPrompt | PromptPair
    TaskSource = str | Path | Task
    ModelSource = str | Path
    LabelWord = str | Sequence[str]
else:  # a command line and a document give names
    PromptSource = TaskSource = ModelSource = str | Path
    LabelWord = str | list[str]


def read_label_word(text: str) -> list[str | list[str]]:
    """A label's word as typed: `great|good` are two of one label."""
    return [text.split("|") if "|" in text.strip("|") else text]


def read_numbers(text: str) -> list[float]:
    """Numbers with commas between them.

    Raises:
        ValueError: there is something else.
    """
    return [float(part) for part in text.split(",")]


def read_whole_numbers(text: str) -> list[int]:
    """Whole numbers with commas between them.

    Raises:
        ValueError: there is something else.
    """
    return [int(part) for part in text.split(",")]
