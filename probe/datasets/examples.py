"""Rows → examples, checked one by one; their validation split and samples; the texts alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from probe.datasets.rows import DataRow, read_rows, read_text, shown
from probe.errors import DataError
from probe.task import Example, TaskKind
from probe.texts import is_unicode


@dataclass(frozen=True)
class Columns:
    """The names of the columns that hold an example's parts."""

    text: str = "text"
    label: str = "label"
    target: str = "target"


def read_examples(
    path: str | Path,
    *,
    kind: TaskKind = "classification",
    labels: Sequence[str],
    columns: Columns | None = None,
) -> list[Example]:
    """The examples of a JSONL, CSV, TSV or Parquet file.

    Args:
        path: the file.
        kind: a classification row has a text and a label, a generation row a text and a target.
        labels: the labels' names, in label order; a row may give its label's name or its number.
        columns: names of the columns, `text`, `label` and `target` if not given.

    Raises:
        DataError: the file cannot be read, holds no rows, or a row is not as expected; the message
            names the line.
    """
    examples = to_examples(read_rows(Path(path)), kind, labels, columns or Columns())
    if not examples:
        raise DataError(f"{path}: expected examples, found no rows")
    return examples


def to_examples(
    rows: Iterable[DataRow],
    kind: TaskKind,
    labels: Sequence[str],
    columns: Columns,
    *,
    asked: Sequence[str] = ("text",),
) -> list[Example]:
    """Check rows and turn them into examples.

    Args:
        rows: of a file or a data set.
        kind: decides whether a row has a label or a target.
        labels: the labels' names, in label order.
        columns: the names of the columns.
        asked: columns that the template names; `text` is the column that `columns` calls so.

    Raises:
        DataError: a row lacks a text, a column of the template, a label or a target, or has one
            that is not as expected.
    """
    numbers = {name: number for number, name in enumerate(labels)}
    examples = []
    for row in rows:
        parts = {name: _text(row, columns.text if name == "text" else name) for name in asked}
        label = None if kind == "generation" else _label(row, columns.label, numbers)
        target = _text(row, columns.target) if kind == "generation" else None
        examples.append(_example(row, parts, columns, label, target))
    return examples


def _example(
    row: DataRow, parts: dict[str, str], columns: Columns, label: int | None, target: str | None
) -> Example:
    """An example that keeps every column a template may name, if there are others than the text."""
    left_out = (columns.label, columns.target)
    others = {
        name: value for name, value in _texts_of(row).items() if name not in (*left_out, *parts)
    }
    if columns.text in others:
        others.setdefault("text", others[columns.text])
    text = parts.get("text", " | ".join(parts.values()))
    return Example(
        text, label, target, {**others, **parts} if others or set(parts) != {"text"} else {}
    )


def read_asked(path: str | Path, *, text_column: str | None = None) -> list[dict[str, str]]:
    """What a file asks about, row by row: a `.txt` has the column `text`, a data file its own.

    Args:
        path: a `.txt` with one text per line, blank ones passed over, or a data file.
        text_column: the column that templates call `{text}`; the one named `text` when None, if
            there is one.

    Raises:
        DataError: the file cannot be read, holds no rows, or a row lacks the text column.
    """
    path, rows = Path(path), list[dict[str, str]]()
    if path.suffix.lower() == ".txt":
        if text_column is not None:
            raise DataError(f"{path}: a .txt has no columns: leave out the text column")
        lines = read_text(path).split("\n")
        rows = [{"text": line.rstrip("\r")} for line in lines if line.strip()]
    else:
        for row in read_rows(path):
            values = _texts_of(row)
            if text_column is not None or "text" in row.values:
                values["text"] = _text(row, text_column or "text")
            rows.append(values)
    if not rows:
        raise DataError(f"{path}: expected texts, found none")
    return rows


def _texts_of(row: DataRow) -> dict[str, str]:
    """Every cell that is a text or a number, as text."""
    cells = row.values.items()
    return {name: str(cell) for name, cell in cells if isinstance(cell, str | int | float)}


def _text(row: DataRow, column: str) -> str:
    value = row.cell(column)
    if not isinstance(value, str) or not value.strip():
        raise DataError(
            f"{row.where}: expected {column!r} to be a text that is not empty, found {shown(value)}"
        )
    if not is_unicode(value):
        raise DataError(
            f"{row.where}: expected {column!r} to be text that UTF-8 can hold, found half of a "
            f"character in {shown(value)}"
        )
    return value


def label_text(value: object) -> str:
    """A label as text, the same whatever format it comes from; empty where there is none."""
    if value is None:
        return ""
    # Whole numbers of a column that had gaps are floats.
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _label(row: DataRow, column: str, numbers: dict[str, int]) -> int:
    value = row.cell(column)
    name = label_text(value)
    # A name wins over a number: labels may themselves be called "1" to "5".
    number = numbers.get(name, int(name) if re.fullmatch("[0-9]{1,9}", name) else -1)
    if not 0 <= number < len(numbers):
        raise DataError(
            f"{row.where}: expected {column!r} to be 0 to {len(numbers) - 1} or one of "
            f"{', '.join(numbers)}, found {shown(value)}"
        )
    return number


SHARE = 0.1
"""Of the training examples, when a task has no validation examples of its own."""


def split_validation(
    examples: Sequence[Example], *, share: float = SHARE, seed: int = 0
) -> tuple[list[Example], list[Example]]:
    """Split examples into training and validation ones, in their order.

    Texts are ranked by a hash, label by label, and the first `share` of each label's different
    texts goes to validation. So the split is the same for any order of the rows, hardly changes
    when rows are added, keeps the labels' shares, and never has one text on both sides.

    Returns:
        Training and validation examples; validation is empty where the share is 0, or where every
        label has one text only.
    """
    least = 1 if share else 0
    taken: set[str] = set()
    for texts in texts_by_label(examples):
        count = min(max(least, round(share * len(texts))), len(texts) - 1)
        taken.update(sorted(texts, key=lambda text: _rank(text, seed))[:count])
    return (
        [example for example in examples if example.text not in taken],
        [example for example in examples if example.text in taken],
    )


def texts_by_label(examples: Sequence[Example]) -> list[list[str]]:
    """The different texts of each label; one that has two labels is among those of its first."""
    label_of: dict[str, int | None] = {}
    for example in examples:
        label_of.setdefault(example.text, example.label)
    by_label: dict[int | None, list[str]] = {}
    for text, label in label_of.items():
        by_label.setdefault(label, []).append(text)
    return list(by_label.values())


def sample(examples: Sequence[Example], most: int | None) -> Sequence[Example]:
    """At most so many examples from all over, always the same ones, in their order.

    Never the first ones: many files are sorted by label. A smaller sample is part of a larger one.
    """
    if most is None or most >= len(examples):
        return examples
    drawn = np.random.default_rng(0).permutation(len(examples))[:most]
    return [examples[i] for i in sorted(drawn)]


def _rank(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
