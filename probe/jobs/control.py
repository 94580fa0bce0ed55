"""Start, stop and remove runs."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from probe.errors import TrainingError
from probe.jobs.launching import launch
from probe.jobs.processes import require_posix, signal_group
from probe.jobs.views import ObservedState, observe
from probe.store import ACTIVE, Record, RunConfig, RunFolder, Status, Workspace, read_records
from probe.store.card import name_note
from probe.texts import counted

TRAINING = "training"
"""The activity during which a worker saves before it ends."""
_SAVE_S = 30.0
"""A step, and the checkpoint after it, of a large model."""
_END_S = 10.0
_POLL_S = 0.05


def start(workspace: Workspace, config: RunConfig) -> RunFolder:
    """Make a run's folder and start its worker.

    Raises:
        TrainingError: no worker can be started here.
        WorkspaceError: the workspace cannot be written.
    """
    require_posix()
    run = workspace.runs.create(
        config, Status("queued", queued_at=time.time(), notes=_name_notes(config.name))
    )
    _launch(run)
    return run


def resume(workspace: Workspace, reference: str, *, steps: int | None = None) -> RunFolder:
    """Start another worker for a run, from its last checkpoint.

    Args:
        workspace: where the run is.
        reference: its name.
        steps: in all, more than it was asked for, so that a finished run goes on too; as many as
            it was asked for when None.

    Raises:
        TrainingError: the run has a worker, or has nothing left to do.
        WorkspaceError: there is no such run.
    """
    require_posix()
    run = workspace.runs.get(reference)
    status, state = observe(run)
    if state in ACTIVE:
        raise TrainingError(f"{run.id} is {state}: cancel it first, or wait")
    if steps is not None:
        _lengthen(run, status, steps)
    elif state == "finished":
        raise TrainingError(
            f"{run.id} is finished and made {', '.join(status.prompts)}: it goes on with more "
            f"steps than its {run.config.steps} (--steps, steps= in Python)"
        )
    run.stop.unlink(missing_ok=True)
    run.write(
        dataclasses.replace(
            status,
            state="queued",
            queued_at=time.time(),
            pid=None,
            started=None,
            activity="",
            began=None,
            eta_s=None,
            message="",
        )
    )
    _launch(run)
    return run


def _lengthen(run: RunFolder, status: Status, steps: int) -> None:
    if steps <= run.config.steps:
        raise TrainingError(
            f"{run.id} was asked for {counted(run.config.steps, 'step')}: expected more than "
            f"these, found {steps}"
        )
    if status.state == "finished" and status.message.startswith("diverged"):
        raise TrainingError(f"{run.id} {status.message}: start another at a lower learning rate")
    run.lengthen(steps)


def cancel(
    workspace: Workspace, reference: str, *, save_s: float = _SAVE_S, end_s: float = _END_S
) -> RunFolder:
    """End a run so that it can be resumed; first kindly, then not.

    Args:
        workspace: where the run is.
        reference: its name.
        save_s: time it has to save and end by itself, before SIGTERM.
        end_s: time after SIGTERM before SIGKILL; both go to the worker's whole process group.

    Raises:
        TrainingError: nobody works at the run.
        WorkspaceError: there is no such run.
    """
    run = workspace.runs.get(reference)
    status, state = observe(run)
    if state not in ACTIVE:
        raise TrainingError(f"{run.id} is {state}: there is nothing to cancel")
    run.stop.touch(mode=0o600)
    if status.activity != TRAINING:
        _signal(run, signal.SIGTERM)  # nothing to save: it need not finish what it is loading
    if not _ends(run, save_s):
        _signal(run, signal.SIGTERM)
        if not _ends(run, end_s):
            _signal(run, signal.SIGKILL)
            _ends(run, end_s)
    status, state = observe(run)
    if state == "interrupted":  # killed: it could not say so itself
        message = "killed while it did not answer: it goes on from its last checkpoint"
        run.write(dataclasses.replace(status, state="cancelled", message=message))
    return run


def delete(workspace: Workspace, reference: str) -> RunFolder:
    """Remove a run with its checkpoints; the prompts it made stay.

    Raises:
        TrainingError: a worker is at it.
        WorkspaceError: there is no such run.
    """
    run = workspace.runs.get(reference)
    try:
        _, state = observe(run)
    except Exception:  # damaged beyond reading: all the more reason to remove it
        workspace.runs.remove(run)
        return run
    if state in ACTIVE:
        raise TrainingError(f"{run.id} is {state}: cancel it first")
    workspace.runs.remove(run)
    return run


@dataclass(frozen=True)
class RunUpdate:
    """What has happened in a run since the last look."""

    state: ObservedState
    status: Status
    records: list[Record]
    """One per update and prompt."""


def follow(run: RunFolder, *, poll_s: float = 0.1) -> Iterator[RunUpdate]:
    """What happens in a run, look by look, until nobody works at it any more.

    Records are those of the present worker; what earlier ones logged is in the folder.
    """
    offset = 0
    while True:
        status, state = observe(
            run
        )  # before the records: those logged until it ended are then there
        records: list[Record] = []
        if status.began is not None:
            found, offset = read_records(run.metrics, offset)
            records = [record for record in found if record["step"] > status.began]
        yield RunUpdate(state, status, records)
        if state not in ACTIVE:
            return
        time.sleep(poll_s)


def _name_notes(name: str) -> tuple[str, ...]:
    line = name_note(name)
    return () if line is None else (line,)


def _launch(run: RunFolder) -> None:
    try:
        launch(run, "probe.jobs.worker")
    except KeyboardInterrupt:
        run.stop.touch(mode=0o600)  # nobody would be left to watch it
        raise


def _signal(run: RunFolder, number: signal.Signals) -> None:
    status = run.status
    if status.pid is not None and status.started is not None:
        signal_group(status.pid, status.started, number)


def _ends(run: RunFolder, within_s: float) -> bool:
    """Whether the worker ends in time."""
    until = time.monotonic() + within_s
    while observe(run)[1] in ACTIVE:
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True
