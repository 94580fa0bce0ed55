"""What a field of a request may be given: names and places, or the objects themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from probe.live import LiveModel, LivePrompt
    from probe.prompt import AnyPrompt, PromptPair
    from probe.task import Example, Task
    from probe.vocabulary import Vocabulary

    Place = str | Path
    PromptObject = NDArray[Any] | Tensor | nn.Module | Mapping[str, Any] | LivePrompt
    PromptSource = str | Path | AnyPrompt | PromptPair | PromptObject
    TaskSource = str | Path | Task
    Named = str | Path
    ModelName = str | LiveModel
    ModelSource = str | Path | LiveModel | PreTrainedModel | tuple[PreTrainedModel, Any]
    Table = Vocabulary
    TableSource = ModelSource | Vocabulary
    TextSource = str | Mapping[str, str] | Example
    LabelWord = str | Sequence[str]
    Contexts = str | Path | Sequence[str]
    TokenSource = str | int
    LayerRange = str | slice
    StepWatcher = Callable[[Any], None]
    GridSource = str | Path | Mapping[str, Any]
else:  # a command line and a document give names
    Place = Path
    PromptSource = TaskSource = ModelSource = TableSource = Named = str | Path
    ModelName = str
    Table = Any
    TextSource = str | dict[str, str]
    LabelWord = str | list[str]
    Contexts = str | Path | list[str]
    TokenSource = str | int
    LayerRange = str
    StepWatcher = Any
    GridSource = str | Path | dict[str, Any]

N = TypeVar("N", int, float)


def read_label_word(text: str) -> list[str | list[str]]:
    """A label's word as typed: `great|good` are two of one label."""
    return [text.split("|") if "|" in text.strip("|") else text]


def read_names(text: str) -> list[str]:
    """Names with commas between them."""
    return [part.strip() for part in text.split(",")]


def read_number_or_none(text: str) -> float | None:
    """A number, or None where the word none stands for it.

    Raises:
        ValueError: there is something else.
    """
    return None if text in ("none", "None") else float(text)


def read_numbers(text: str) -> list[float]:
    """Numbers with commas between them.

    Raises:
        ValueError: there is something else.
    """
    return _read_each(text, float, "numbers")


def read_whole_numbers(text: str) -> list[int]:
    """Whole numbers with commas between them.

    Raises:
        ValueError: there is something else.
    """
    return _read_each(text, int, "whole numbers")


def _read_each(text: str, kind: Callable[[str], N], called: str) -> list[N]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"expected {called} with commas between them, found {text}") from error
