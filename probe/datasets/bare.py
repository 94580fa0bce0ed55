"""A task that is one data file and no more, and other names for columns and label words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from probe.datasets.definition import Definition
from probe.datasets.examples import label_text
from probe.datasets.rows import DATA_SUFFIXES, DataRow, shown
from probe.errors import DataError
from probe.notes import note
from probe.task import LabelWords, split_words
from probe.texts import counted

_MOST_LABELS = 100
"""More different ones than this are no labels: a number or a text of its own in every row."""


def is_data_file(task: str | Path) -> bool:
    """Whether a task is named by a data file alone."""
    path = Path(task)
    return path.suffix.lower() in DATA_SUFFIXES and path.is_file()


def bare_definition(path: Path, rows: Sequence[DataRow]) -> Definition:
    """The task of a data file: its labels are what the column `label` holds, sorted.

    Rows that have a `target` and no `label` ask for texts.

    Raises:
        DataError: there are no rows, or no labels among them.
    """
    if not rows:
        raise DataError(f"{path}: expected examples, found no rows")
    first = rows[0].values
    if "label" not in first and "target" in first:
        return Definition(path.stem, kind="generation")
    labels = _labels(path, rows)
    return Definition(path.stem, label_words=labels, label_names=labels)


def renamed(
    rows: Sequence[DataRow], *, text_column: str | None, label_column: str | None
) -> list[DataRow]:
    """Rows whose columns `text` and `label` are those that are named; labels are all texts.

    Raises:
        DataError: a row lacks one of them.
    """
    wanted = {"text": text_column, "label": label_column}
    made = []
    for row in rows:
        new = {key: row.cell(name) for key, name in wanted.items() if name is not None}
        values = {**row.values, **new}
        if "label" in values:
            values["label"] = label_text(values["label"])
        made.append(DataRow(row.where, values))
    return made


def reworded(definition: Definition, label_words: LabelWords, *, where: str) -> Definition:
    """A definition with other label words; which label each is for is noted.

    Raises:
        DataError: there are not as many of them as labels.
    """
    words, synonyms = split_words(label_words)
    if not words:
        return definition
    if definition.kind != "classification" or len(words) != len(definition.label_words):
        raise DataError(
            f"{where}: expected a word for each of {counted(len(definition.label_words), 'label')} "
            f"({', '.join(definition.labels) or 'none'}), found {len(words)} ({', '.join(words)})"
        )
    # Words that are the rows' own names for labels say themselves which they are for.
    own = definition.labels
    if set(words) == set(own):
        order = [words.index(name) for name in own]
        words = tuple(words[place] for place in order)
        synonyms = tuple(synonyms[place] for place in order) if synonyms else ()
    else:
        pairs = ", ".join(f"{name} → {word}" for name, word in zip(own, words, strict=True))
        note(f"{where}: the labels and their words are {pairs}")
    return dataclasses.replace(
        definition, label_words=words, synonyms=synonyms, label_names=definition.labels
    )


def require_words(definition: Definition, *, where: str) -> None:
    """Refuse to have a model write the numbers of labels.

    Raises:
        DataError: every label is a number.
    """
    words = definition.label_words
    if words and all(word.isdecimal() for word in words):
        raise DataError(
            f"{where}: the labels are the numbers {', '.join(words)}: give a word for each, in "
            "that order, with --label-word (label_words= in Python)"
        )


def _labels(path: Path, rows: Sequence[DataRow]) -> tuple[str, ...]:
    """The different labels of rows, numbers by their size and before words."""
    found: dict[str, None] = {}
    for row in rows:
        if "label" not in row.values:
            raise DataError(
                f"{row.where}: expected a column named 'label', found "
                f"{', '.join(map(repr, row.values)) or 'none'}: name it with --label-column "
                "(label_column= in Python)"
            )
        label = label_text(row.values["label"])
        if not label:
            raise DataError(f"{row.where}: expected a label, found {shown(row.values['label'])}")
        found[label] = None
        if len(found) > _MOST_LABELS:
            raise DataError(
                f"{path}: expected at most {_MOST_LABELS} different labels, found more by "
                f"{row.where.rpartition(', ')[2]}: is `label` another column?"
            )
    if len(found) < 2:
        raise DataError(f"{path}: expected two or more different labels, found {', '.join(found)}")
    return tuple(sorted(found, key=_by_size))


def _by_size(label: str) -> tuple[bool, int, str, str]:
    """Numbers first, by their digits: Python makes none of more than some thousands."""
    number = label.isdecimal()
    digits = label.lstrip("0") if number else label
    return not number, len(digits) if number else 0, digits, label
