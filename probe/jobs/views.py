"""A job as people and programs see it: what its folder says, and whether its worker lives."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from probe.analysis.gains import Scored, gain_of
from probe.errors import WorkspaceError
from probe.jobs.processes import is_alive
from probe.jobs.run_queue import queued_before
from probe.results import Result
from probe.store import (
    ACTIVE,
    SCORING,
    TRAINING,
    TRAININGS,
    JobConfig,
    JobFolder,
    JobKind,
    Record,
    State,
    Status,
    Workspace,
    read_records,
)

_LOG = logging.getLogger(__name__)
_START_UP_S = 60.0
"""So long may a process take from its start to its first status, on a machine that is busy."""
_SILENT_S = 600.0
"""So long after its last word a training that is only recorded counts as left."""

ObservedState = State | Literal["interrupted"]


@dataclass(frozen=True)
class JobView(Result):
    """One job, at one moment."""

    run: str
    """The job's name."""
    kind: JobKind
    state: ObservedState
    """interrupted: its worker died without a word."""
    model: str
    task: str
    method: str
    """Of a training; empty for a study."""
    name: str
    """Of the prompt it makes; of a study, of its models and tasks."""
    label: str
    """What people call the job; empty until somebody names it."""
    created: str
    step: int
    """Updates made; of a study in the present pack, and answers given while it scores them."""
    steps: int
    """Updates asked for; of a study in the present pack, 0 between packs."""
    done: int
    """Runs of a study that are finished; 0 of a training."""
    runs: int | None
    """Different runs of a study in all; None of a training, and until they are counted."""
    found: int
    """Of those done, how many had been trained before."""
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
    """Jobs ahead of it in the queue."""
    device: str
    """Where a training computes and in which precision; empty before it does, and of a study."""
    message: str
    notes: tuple[str, ...]
    """What was not done as it might seem: texts that were cut, and the like."""
    prompts: tuple[str, ...]
    metrics: dict[str, Any]
    folder: str
    pid: int | None
    """Of the living worker."""
    resumable: bool
    """Whether there is something left to do, nobody at it, and a worker can do it."""
    deletable: bool
    """Whether nobody is at it, or at a training that is only recorded not for ten minutes."""

    @property
    def is_training(self) -> bool:
        """Whether it trains one prompt, or its folds; a study trains many."""
        return self.kind in TRAININGS

    @property
    def share(self) -> float:
        """How much of its steps is made; of a study of its present pack's, or of its runs."""
        made, of = (self.step, self.steps) if self.steps else (self.done, self.runs or 1)
        return min(1.0, made / of)

    @property
    def active(self) -> bool:
        """Whether a worker waits or works."""
        return self.state in ACTIVE


def scored(
    runs: Iterable[JobView], name: Callable[[JobView], str] = lambda run: run.label or run.run
) -> list[Scored]:
    """The scores of the trainings that have finished, each called by its name."""
    found = [(run, gain_of(run.metrics)) for run in runs if run.state == "finished"]
    return [Scored(name(run), run.task, gain) for run, gain in found if gain is not None]


def view(workspace: Workspace, job: JobFolder) -> JobView:
    """The job as it is now.

    Raises:
        WorkspaceError: its folder is damaged or gone.
    """
    config = job.config
    status, state = observe(job)
    living = state in ACTIVE
    return JobView(
        run=job.id,
        kind=config.kind,
        state=state,
        **_asked(config),
        **_progress(config, status, living=living),
        name=config.name,
        label=job.label,
        created=config.created,
        loss_nats=status.loss_nats,
        validation=status.validation,
        tokens_per_s=status.tokens_per_s,
        eta_s=status.eta_s if state == "running" else None,
        activity=("stopping" if job.stop.exists() else status.activity) if living else "",
        silent_s=max(0.0, time.time() - status.heartbeat) if living else None,
        waits_for=tuple(queued_before(workspace, job)) if state == "queued" else (),
        device=status.device,
        message=status.message,
        notes=status.notes,
        prompts=status.prompts,
        folder=str(job.path),
        pid=status.pid if living else None,
        resumable=config.has_workers and state in ("interrupted", "cancelled", "failed"),
        deletable=not is_at_work(config, status, state),
    )


def views(workspace: Workspace, *kinds: JobKind) -> Sequence[JobView]:
    """Every job, or those of some kinds, the newest first; damaged ones are named and left out."""
    found = []
    for job in workspace.jobs:
        try:
            if not kinds or job.config.kind in kinds:
                found.append(view(workspace, job))
        except WorkspaceError as error:
            _LOG.warning("left out %s: %s", job.id, error)
    return sorted(found, key=lambda one: (one.created, one.run), reverse=True)


def observe(job: JobFolder) -> tuple[Status, ObservedState]:
    """What a worker last said, and the state this comes to now that it has been looked for.

    Raises:
        WorkspaceError: the folder is damaged or gone.
    """
    status = job.status
    if status.state not in ACTIVE or _is_living(status):
        return status, status.state
    status = job.status  # it may have said how it ended between the two looks
    return status, "interrupted" if status.state in ACTIVE else status.state


def is_at_work(config: JobConfig, status: Status, state: ObservedState) -> bool:
    """Whether somebody is at a job; a program that lives may have left a training it recorded."""
    silent = config.is_recorded and time.time() - status.heartbeat > _SILENT_S
    return state in ACTIVE and not silent


@dataclass(frozen=True)
class RunUpdate:
    """What has happened in a job since it was last observed."""

    state: ObservedState
    status: Status
    records: list[Record]
    """One per update and prompt of a training."""


def follow(job: JobFolder, *, poll_s: float = 0.1) -> Iterator[RunUpdate]:
    """What happens in a job until nobody works at it any more.

    Records are those of the present worker; what earlier ones logged is in the folder.
    """
    offset = 0
    while True:
        status, state = observe(job)  # before the records, which are then there to the last
        records: list[Record] = []
        if status.began is not None:
            found, offset = read_records(job.metrics, offset)
            records = [record for record in found if record["step"] > status.began]
        yield RunUpdate(state, status, records)
        if state not in ACTIVE:
            return
        time.sleep(poll_s)


def _is_living(status: Status) -> bool:
    if status.pid is None:
        return time.time() - status.queued_at < _START_UP_S
    return is_alive(status.pid, status.started)


def _asked(config: JobConfig) -> dict[str, Any]:
    """What of, on what, and how; a study of readings distils texts on one model."""
    asked = config.request
    models = asked.get("models") or [asked["model"]]
    tasks = asked.get("tasks") or [asked.get("task", "distilled")]
    method = str(asked["training"]["method"]) if config.is_training else ""
    return {"model": ", ".join(models), "task": ", ".join(tasks), "method": method}


def _progress(config: JobConfig, status: Status, *, living: bool) -> dict[str, Any]:
    """How far a training is in steps; a study in runs, and in steps of the present pack."""
    if config.steps is not None:
        no_runs = {"done": 0, "runs": None, "found": 0}
        return {"step": status.step, "steps": config.steps, "metrics": status.metrics, **no_runs}
    counts = status.metrics
    pack = counts if living and status.activity in (TRAINING, SCORING) else {}
    return {
        "step": pack.get("pack_step", 0),
        "steps": pack.get("pack_steps", 0),
        "done": status.step,
        "runs": counts.get("runs"),
        "found": counts.get("found", 0),
        "metrics": {},
    }
