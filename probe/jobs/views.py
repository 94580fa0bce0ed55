"""A run as people and programs see it: what its folder says, and whether its worker lives."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from probe.analysis.gains import Scored, gain_of
from probe.errors import WorkspaceError
from probe.jobs.processes import is_alive
from probe.jobs.run_queue import queued_before
from probe.store import ACTIVE, RunFolder, State, Status, StudyFolder, Workspace

_LOG = logging.getLogger(__name__)
_START_UP_S = 60.0
"""So long may a process take from its birth to its first word, on a machine that is busy."""

ObservedState = State | Literal["interrupted"]


@dataclass(frozen=True)
class RunView:
    """One run, at one moment."""

    run: str
    state: ObservedState
    """interrupted: its worker died without a word; it can be resumed."""
    model: str
    task: str
    method: str
    name: str
    """Of the prompt it makes."""
    label: str
    """What people call the run; empty until somebody names it."""
    created: str
    step: int
    steps: int
    loss_nats: float | None
    validation: dict[str, Any] | None
    tokens_per_s: float | None
    eta_s: float | None
    """While it trains."""
    activity: str
    """What the worker is doing; empty where none lives."""
    silent_s: float | None
    """Seconds since the worker's last sign of life; None where none lives."""
    waits_for: tuple[str, ...]
    """Runs ahead of it in the queue."""
    message: str
    notes: tuple[str, ...]
    """What was not done as it might seem: texts that were cut, and the like."""
    prompts: tuple[str, ...]
    metrics: dict[str, Any]
    folder: str
    pid: int | None
    """Of the living worker."""

    @property
    def active(self) -> bool:
        """Whether a worker waits or works."""
        return self.state in ACTIVE

    @property
    def resumable(self) -> bool:
        """Whether there is something left to do and nobody at it."""
        return self.state in ("interrupted", "cancelled", "failed")

    def to_json(self) -> dict[str, Any]:
        """One entry of `probe runs --json`."""
        lists = {name: list(getattr(self, name)) for name in ("waits_for", "notes", "prompts")}
        return asdict(self) | lists


def scored(
    runs: Iterable[RunView], name: Callable[[RunView], str] = lambda run: run.label or run.run
) -> list[Scored]:
    """The scores of the runs that have finished.

    Args:
        runs: in any order.
        name: how each is to be called.
    """
    found = [(run, gain_of(run.metrics)) for run in runs if run.state == "finished"]
    return [Scored(name(run), run.task, gain) for run, gain in found if gain is not None]


def view(workspace: Workspace, run: RunFolder) -> RunView:
    """The run as it is now.

    Raises:
        WorkspaceError: its folder is damaged or gone.
    """
    config = run.config
    status, state = observe(run)
    living = state in ACTIVE
    return RunView(
        run=run.id,
        state=state,
        model=config.model,
        task=config.task,
        method=str(config.training["method"]),
        name=config.name,
        label=run.label,
        created=config.created,
        step=status.step,
        steps=config.steps,
        loss_nats=status.loss_nats,
        validation=status.validation,
        tokens_per_s=status.tokens_per_s,
        eta_s=status.eta_s if state == "running" else None,
        activity=status.activity if living else "",
        silent_s=max(0.0, time.time() - status.heartbeat) if living else None,
        waits_for=tuple(queued_before(workspace.runs, run)) if state == "queued" else (),
        message=status.message,
        notes=status.notes,
        prompts=status.prompts,
        metrics=status.metrics,
        folder=str(run.path),
        pid=status.pid if living else None,
    )


def views(workspace: Workspace) -> Sequence[RunView]:
    """Every run, the newest first; damaged ones are named on the way and left out."""
    found = []
    for run in workspace.runs:
        try:
            found.append(view(workspace, run))
        except WorkspaceError as error:
            _LOG.warning("left out %s: %s", run.id, error)
    return sorted(found, key=lambda one: (one.created, one.run), reverse=True)


def observe(run: RunFolder | StudyFolder) -> tuple[Status, ObservedState]:
    """What a worker last said, and the state this comes to now that it has been looked for.

    Raises:
        WorkspaceError: the folder is damaged or gone.
    """
    status = run.status
    if status.state not in ACTIVE or _living(status):
        return status, status.state
    status = run.status  # its last word may have come between the two looks
    return status, "interrupted" if status.state in ACTIVE else status.state


def _living(status: Status) -> bool:
    if status.pid is None:
        return time.time() - status.queued_at < _START_UP_S
    return is_alive(status.pid, status.started)
