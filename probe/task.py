"""What a soft prompt is trained for: examples, a template, and label words (the verbalizer)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

TaskKind = Literal["classification", "generation"]
TaskMetric = Literal["accuracy", "macro_f1", "exact_match", "rouge_l"]
METRIC_WORDS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
    "loss_nats": "loss (nats)",
}
LabelWords = Sequence[str | Sequence[str]]
"""One word or phrase per label, or several that mean the same label."""

TEXT_SLOT = "{text}"
LABEL_SLOT = "{label}"
_COLUMN_SLOT = re.compile(r"\{([^\W\d][\w .-]*)\}")
"""What begins with a digit or holds other signs is text, as in `{1}` and `{prompt:3}`."""


@dataclass(frozen=True)
class Example:
    """One labelled text; generation tasks carry a target text in place of a label."""

    text: str
    label: int | None = None
    """Index into the task's label words."""
    target: str | None = None
    """The text a generation task asks for."""
    columns: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Every column of its row that a template may name; empty where there is only the text."""

    @property
    def values(self) -> Mapping[str, str]:
        """What the template's slots are filled with, by name."""
        return self.columns or {"text": self.text}


@dataclass(frozen=True)
class Task:
    """A task as a frozen model sees it."""

    name: str
    kind: TaskKind
    template: str = TEXT_SLOT
    """The model's input with `{text}`, or other columns of the data, where the example goes, e.g.
    `{text} It was` or `{premise} {hypothesis} Entailed?`."""
    label_words: tuple[str, ...] = ()
    """Verbalizer: one word or phrase per label, in label order."""
    synonyms: tuple[tuple[str, ...], ...] = ()
    """Further words of each label, whose probabilities count for it too; empty where none has."""
    metric: TaskMetric = "accuracy"
    train: Sequence[Example] = field(default=(), repr=False)
    validation: Sequence[Example] = field(default=(), repr=False)
    test: Sequence[Example] = field(default=(), repr=False)
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Check that template, label words and examples fit together.

        Raises:
            ValueError: the template names no column or one twice, label words are missing or
                repeated, or an example's label has no word.
        """
        if self.kind not in get_args(TaskKind) or self.metric not in get_args(TaskMetric):
            raise ValueError(
                f"task {self.name}: kind must be one of {get_args(TaskKind)} and metric one of "
                f"{get_args(TaskMetric)}, found {self.kind!r} and {self.metric!r}"
            )
        names = columns_of(self.template)
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"task {self.name}: the template needs {TEXT_SLOT} once, or other columns of the "
                f"data once each, found {self.template!r}"
            )
        if self.kind == "classification":
            self._check_words()
        for split in ("train", "validation", "test"):
            for number, example in enumerate(getattr(self, split)):
                self._check_example(f"{split}[{number}]", example)

    def _check_words(self) -> None:
        words = [word for label in self.verbalizer for word in label]
        if len(self.label_words) < 2 or len(set(words)) < len(words):
            raise ValueError(
                f"task {self.name}: classification needs two or more different label words, "
                f"found {', '.join(words) or 'none'}"
            )
        if self.synonyms and len(self.synonyms) != len(self.label_words):
            raise ValueError(
                f"task {self.name}: expected synonyms for {len(self.label_words)} labels, found "
                f"them for {len(self.synonyms)}"
            )

    def _check_example(self, where: str, example: Example) -> None:
        if self.kind == "generation":
            if example.target is None:
                raise ValueError(f"task {self.name}: {where} has no target text")
        elif example.label is None or not 0 <= example.label < len(self.label_words):
            raise ValueError(
                f"task {self.name}: {where} has label {example.label}, expected 0 to "
                f"{len(self.label_words) - 1}"
            )

    @property
    def verbalizer(self) -> tuple[tuple[str, ...], ...]:
        """Every word of each label, the one that names it first."""
        further = self.synonyms or ((),) * len(self.label_words)
        return tuple((word, *more) for word, more in zip(self.label_words, further, strict=False))

    @property
    def words(self) -> list[str | list[str]]:
        """Label words as they are given: one per label, or a list where a label has several."""
        return joined_words(self.label_words, self.synonyms)

    @property
    def spelled_words(self) -> tuple[str, ...]:
        """The words of each label on one line, as the command line takes them: `great|good`."""
        return tuple("|".join(words) for words in self.verbalizer)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data that the template names, in its order."""
        return columns_of(self.template)

    def fill(self, example: str | Example) -> str:
        """The model's input for one example.

        Raises:
            KeyError: it lacks a column that the template names.
        """
        values = {"text": example} if isinstance(example, str) else example.values
        return fill_columns(self.template, values)

    def shown(self, example: Example) -> str:
        """The example's text for people; of several columns, all that the template names."""
        return " | ".join(example.values[name] for name in self.columns)


def columns_of(template: str) -> tuple[str, ...]:
    """The columns of the data that a template names, in its order."""
    return tuple(name for name in _COLUMN_SLOT.findall(template) if name != "label")


def fill_columns(template: str, values: Mapping[str, str]) -> str:
    """A template with the values of its columns; braces inside a value stay as they are.

    Raises:
        KeyError: a column has no value.
    """

    def value(slot: re.Match[str]) -> str:
        return slot[0] if slot[0] == LABEL_SLOT else values[slot[1]]

    return _COLUMN_SLOT.sub(value, template)


def split_words(
    words: LabelWords,
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Label words as a task keeps them: the first of each label, and the further ones if any."""
    every = [(label,) if isinstance(label, str) else tuple(label) for label in words]
    first = tuple(label[0] for label in every if label)
    further = tuple(label[1:] for label in every)
    return first, further if any(further) else ()


def joined_words(
    label_words: Sequence[str], synonyms: Sequence[Sequence[str]]
) -> list[str | list[str]]:
    """What `split_words` takes apart: a word per label, or a list of them where it has several."""
    if not synonyms:
        return list(label_words)
    return [
        [word, *more] if more else word for word, more in zip(label_words, synonyms, strict=True)
    ]
