"""What prompts of the workspace scored, kept from one evaluation to the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import WorkspaceError
from probe.results import Result
from probe.store import EvaluationRecord, Workspace, last_like
from probe.task import Example, Task
from probe.texts import counted

if TYPE_CHECKING:
    from probe.evaluation import Comparison, Evaluation


@dataclass(frozen=True)
class Recorded(Result):
    """An evaluation that was added to a prompt's history."""

    prompt: str
    record: EvaluationRecord
    last: EvaluationRecord | None
    """The one before that asked the same; None where this is the first."""

    @property
    def change(self) -> float | None:
        """How much the value rose, or fell."""
        return None if self.last is None else self.record.value - self.last.value

    @property
    def dropped(self) -> bool:
        """Whether the value is lower than in the last record, by more than chance."""
        return self.last is not None and self.record.dropped_from(self.last)

    def _document(self) -> dict[str, Any]:
        last = self.last
        return {
            "prompt": self.prompt,
            "recorded": self.record.recorded,
            "metric": self.record.metric,
            "value": self.record.value,
            "last": last and {"recorded": last.recorded, "value": last.value},
            "change": self.change,
            "drop": self.dropped,
            "p_value": last and self.record.p_value(last),
        }


def stored_on(
    task: str | Path | Task, *, workspace: str | PathLike[str] | None = None
) -> list[str]:
    """Every prompt of the workspace that was trained on a task.

    Raises:
        DataError: there is no such task.
        WorkspaceError: there is no such prompt.
    """
    from probe.datasets import task_name

    workspace = Workspace(workspace)
    name = task.name if isinstance(task, Task) else task_name(task)
    cards = workspace.list()
    found = [card.id for card in cards if card.task == name and card.trained]
    if not found:
        raise WorkspaceError(
            f"none of the {counted(len(cards), 'prompt')} in {workspace.root} was trained on "
            f"{name}: `probe train` or `probe library add` keeps one"
        )
    return found


def require_stored(names: Sequence[str], workspace: Workspace) -> None:
    """Check that prompts have a history to add to.

    Raises:
        WorkspaceError: one of them is not in the workspace.
    """
    for name in names:
        if name not in workspace.prompts.ids():
            raise WorkspaceError(
                f"{name} is not in the workspace, so it has no history: "
                "`probe library add` keeps it there"
            )


def record_all(
    comparison: Comparison, examples: Sequence[Example], workspace: Workspace
) -> tuple[Recorded, ...]:
    """Add the evaluations of prompts to their histories.

    Raises:
        WorkspaceError: a history cannot be read or written.
    """
    digest = _digest(examples)
    recorded = []
    for evaluation in comparison.evaluations:
        if evaluation.kind == "prompt":
            made = _record(comparison, evaluation, digest)
            history = workspace.record(evaluation.name, made)
            recorded.append(Recorded(evaluation.name, made, last_like(history[:-1], made)))
    return tuple(recorded)


def _record(comparison: Comparison, evaluation: Evaluation, digest: str) -> EvaluationRecord:
    score = evaluation.measures[comparison.metric]
    return EvaluationRecord(
        recorded=datetime.now(UTC).isoformat(timespec="microseconds"),
        task=comparison.task,
        split=comparison.split,
        n=comparison.n,
        examples=digest,
        model=evaluation.model,
        template=evaluation.template,
        label_words=evaluation.label_words,
        metric=comparison.metric,
        value=score.value,
        interval=score.ends,
        measures={name: measure.value for name, measure in evaluation.measures.items()},
        scores=evaluation.example_scores,
    )


def _digest(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.text, example.label, example.target]).encode())
    return digest.hexdigest()
