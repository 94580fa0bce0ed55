"""The history of a prompt's evaluations: `evaluations.jsonl` beside its vectors, oldest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from probe.errors import WorkspaceError
from probe.metrics import sign_test
from probe.results import Result
from probe.store.files import keep_file, require_kinds

HISTORY_FILE = "evaluations.jsonl"
_NOISE = 1e-9
"""Less than one example of a billion: what summing in another order may change."""
_LEVEL = 0.05
"""A drop is told where chance alone would bring one as clear less often than this."""


@dataclass(frozen=True)
class EvaluationRecord(Result):
    """One evaluation of a stored prompt."""

    recorded: str
    """When, ISO 8601 in UTC."""
    task: str
    split: str
    n: int
    """Examples."""
    examples: str
    """sha256 of the examples."""
    model: str
    template: str
    label_words: tuple[str, ...]
    metric: str
    """The task's own; higher is better."""
    value: float
    interval: tuple[float, float]
    measures: dict[str, float]
    """Everything that was measured, by name."""
    scores: tuple[float, ...] = ()
    """What each example adds to the value, in order; empty in records of older versions."""

    def asks_as(self, other: EvaluationRecord) -> bool:
        """Whether both put the same question: the same examples, words and model."""
        return all(getattr(self, name) == getattr(other, name) for name in _QUESTION)

    def dropped_from(self, last: EvaluationRecord) -> bool:
        """Whether the value is lower than it was by more than chance; see `p_value`.

        Where a record does not know its examples' scores, lower than the last one's interval.
        """
        if not self.value < last.value - _NOISE:
            return False
        chance = self.p_value(last)
        return self.value < last.interval[0] if chance is None else chance < _LEVEL

    def p_value(self, last: EvaluationRecord) -> float | None:
        """The exact sign test, two-sided, of the same examples then and now (McNemar's).

        None where one of the records does not know its examples' scores.
        """
        if not self.scores or len(self.scores) != len(last.scores):
            return None
        return sign_test(np.array(self.scores) - np.array(last.scores))


_LISTS = ("label_words", "interval", "scores")
_QUESTION = ("task", "split", "examples", "model", "template", "label_words", "metric")
"""The model by name: one that was changed under its name must not hide a drop."""
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys((*_QUESTION, "recorded"), (str,)),
    **dict.fromkeys(("value", "interval", "scores"), (int, float)),
    "n": (int,),
    "measures": (dict,),
}


def last_like(
    history: Sequence[EvaluationRecord], record: EvaluationRecord
) -> EvaluationRecord | None:
    """The newest record that answers the same question; None where there is none."""
    return next((one for one in reversed(history) if one.asks_as(record)), None)


def read_history(folder: Path) -> list[EvaluationRecord]:
    """The records of a prompt folder, oldest first; empty where nothing was recorded.

    Raises:
        WorkspaceError: the file cannot be read; the message names the line.
    """
    path = folder / HISTORY_FILE
    try:
        # Only \n ends a line: a text may hold the other separators that splitlines() knows.
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"{path} cannot be read ({error})") from error
    return [
        parse_record(line, f"{path}, line {n}")
        for n, line in enumerate(lines, start=1)
        if line.strip()
    ]


def append_record(folder: Path, record: EvaluationRecord) -> list[EvaluationRecord]:
    """Write a record behind the others; returns all of them.

    Raises:
        WorkspaceError: what is there cannot be read.
        OSError: the folder cannot be written.
    """
    history = [*read_history(folder), record]
    lines = "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in history)
    keep_file(folder / HISTORY_FILE, lines.encode("utf-8", "replace"))
    return history


def parse_record(line: str, where: str) -> EvaluationRecord:
    """The record a line holds.

    Raises:
        WorkspaceError: it holds none.
    """
    try:
        document = json.loads(line)
        document = {"scores": []} | document
        if set(document) != {field.name for field in fields(EvaluationRecord)}:
            raise ValueError(f"fields {sorted(document)}")
        lists = {name: tuple(document[name]) for name in _LISTS}
        record = EvaluationRecord(**(document | lists))
        require_kinds(record, _KINDS)
        return record
    except (ValueError, TypeError, RecursionError) as error:
        raise WorkspaceError(
            f"{where} is no evaluation ({str(error)[:120]}): remove the line"
        ) from error
