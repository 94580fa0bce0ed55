"""What a soft prompt is trained for: examples, a template, and label words (the verbalizer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

TaskKind = Literal["classification", "generation"]
TaskMetric = Literal["accuracy", "macro_f1", "exact_match", "rouge_l"]

TEXT_SLOT = "{text}"


@dataclass(frozen=True)
class Example:
    """One labelled text; generation tasks carry a target text in place of a label."""

    text: str
    label: int | None = None
    """Index into the task's label words."""
    target: str | None = None
    """The text a generation task asks for."""


@dataclass(frozen=True)
class Task:
    """A task as a frozen model sees it."""

    name: str
    kind: TaskKind
    template: str = TEXT_SLOT
    """The model's input with `{text}` where the example goes, e.g. `{text} It was`."""
    label_words: tuple[str, ...] = ()
    """Verbalizer: one word or phrase per label, in label order."""
    metric: TaskMetric = "accuracy"
    train: Sequence[Example] = field(default=(), repr=False)
    validation: Sequence[Example] = field(default=(), repr=False)
    test: Sequence[Example] = field(default=(), repr=False)
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Check that template, label words and examples fit together.

        Raises:
            ValueError: the template has no `{text}`, label words are missing or repeated, or an
                example's label has no word.
        """
        if self.kind not in get_args(TaskKind) or self.metric not in get_args(TaskMetric):
            raise ValueError(
                f"task {self.name}: kind must be one of {get_args(TaskKind)} and metric one of "
                f"{get_args(TaskMetric)}, found {self.kind!r} and {self.metric!r}"
            )
        if self.template.count(TEXT_SLOT) != 1:
            raise ValueError(
                f"task {self.name}: the template needs {TEXT_SLOT} once, found {self.template!r}"
            )
        if self.kind == "classification" and len(set(self.label_words)) < max(
            2, len(self.label_words)
        ):
            raise ValueError(
                f"task {self.name}: classification needs two or more different label words, "
                f"found {self.label_words}"
            )
        for split in ("train", "validation", "test"):
            for number, example in enumerate(getattr(self, split)):
                self._check_example(f"{split}[{number}]", example)

    def _check_example(self, where: str, example: Example) -> None:
        if self.kind == "generation":
            if example.target is None:
                raise ValueError(f"task {self.name}: {where} has no target text")
        elif example.label is None or not 0 <= example.label < len(self.label_words):
            raise ValueError(
                f"task {self.name}: {where} has label {example.label}, expected 0 to "
                f"{len(self.label_words) - 1}"
            )

    def fill(self, text: str) -> str:
        """The model's input for one text."""
        return self.template.replace(TEXT_SLOT, text)
