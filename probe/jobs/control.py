"""Start, stop and remove jobs, whatever their kind."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

from probe.atomic import privately
from probe.errors import TrainingError
from probe.jobs.processes import require_posix, signal_worker
from probe.jobs.views import ObservedState, is_at_work, observe
from probe.store import ACTIVE, TRAINING, JobConfig, JobFolder, Status, Workspace, queued
from probe.store.card import name_note
from probe.texts import counted

_SAVE_S = 30.0
"""A step, and the checkpoint after it, of a large model."""
_END_S = 10.0
_POLL_S = 0.05


def start(workspace: Workspace, config: JobConfig) -> JobFolder:
    """Start a worker for a job; a study that was asked for before goes on where it is.

    A finished one too: its models and data may have changed, and what has not is found again.

    Raises:
        TrainingError: a process is at it, or no worker can be started here.
        WorkspaceError: the workspace cannot be written.
    """
    require_posix()
    if (before := workspace.jobs.same(config)) is not None:
        return _again(before, _at_rest(before)[0])
    status = dataclasses.replace(queued(), notes=_name_notes(config))
    job = workspace.jobs.create(config, status)
    _launch(job)
    return job


def resume(workspace: Workspace, reference: str, *, steps: int | None = None) -> JobFolder:
    """Start another worker for a job: a training goes on from its last checkpoint, a study too.

    Args:
        workspace: where the job is.
        reference: its name.
        steps: of a training in all, more than it was asked for, so that a finished one goes on
            too; as many as it was asked for when None.

    Raises:
        TrainingError: the job has a worker, or has nothing left to do.
        WorkspaceError: there is no such job.
    """
    require_posix()
    job = workspace.jobs.get(reference)
    status, state = _at_rest(job)
    if job.config.is_recorded:
        raise TrainingError(
            f"{job.id} was trained by another program and only recorded here: go on there"
        )
    if not job.config.has_workers:
        raise TrainingError(
            f"{job.id} trained on a model in the memory of its process, which no other has: train "
            "again in Python with that model (probe.train(model=...))"
        )
    if steps is not None:
        _lengthen(job, status, steps)
    elif state == "finished":
        raise TrainingError(_nothing_left(job, status))
    return _again(job, status)


def _at_rest(job: JobFolder) -> tuple[Status, ObservedState]:
    """What `observe` says of a job that nobody works at."""
    status, state = observe(job)
    if state in ACTIVE:
        raise TrainingError(f"{job.id} is {state}: cancel it first, or wait")
    return status, state


def _again(job: JobFolder, status: Status) -> JobFolder:
    job.stop.unlink(missing_ok=True)
    job.write(queued(status))
    _launch(job)
    return job


def _nothing_left(job: JobFolder, status: Status) -> str:
    if job.config.steps is None:
        return f"{job.id} is finished: there is nothing left to do"
    return (
        f"{job.id} is finished and made {', '.join(status.prompts)}: it goes on with more steps "
        f"than its {job.config.steps} (--steps, steps= in Python)"
    )


def _lengthen(job: JobFolder, status: Status, steps: int) -> None:
    config = job.config
    if config.steps is None:
        raise TrainingError(f"{job.id} is no single training: leave --steps out")
    if steps <= config.steps:
        raise TrainingError(
            f"{job.id} was asked for {counted(config.steps, 'step')}: expected more than "
            f"these, found {steps}"
        )
    if status.state == "finished" and status.message.startswith("diverged"):
        raise TrainingError(f"{job.id} {status.message}: start another at a lower learning rate")
    training = {**config.request["training"], "steps": steps}
    job.ask(dataclasses.replace(config, request={**config.request, "training": training}))


def cancel(
    workspace: Workspace, reference: str, *, save_s: float = _SAVE_S, end_s: float = _END_S
) -> JobFolder:
    """End a job so that it can be resumed: ask it to, then terminate it, then kill it.

    A process that does other things beside gets no signals: it is asked, and waited for a while.

    Args:
        workspace: where the job is.
        reference: its name.
        save_s: time it has to save and end by itself, before SIGTERM.
        end_s: time after SIGTERM before SIGKILL; both go to a worker's whole process group.

    Raises:
        TrainingError: nobody works at the job.
        WorkspaceError: there is no such job.
    """
    job = workspace.jobs.get(reference)
    status, state = observe(job)
    if state not in ACTIVE:
        raise TrainingError(f"{job.id} is {state}: there is nothing to cancel")
    job.stop.touch(mode=0o600)
    if job.config.is_recorded or not status.own_process:  # somebody's program, or a notebook
        _ends(job, save_s)
        return job
    if not (job.config.is_training and status.activity == TRAINING):
        _signal(job, signal.SIGINT)  # nothing to save: it need not finish what it is loading
    for number, within_s in ((signal.SIGTERM, save_s), (signal.SIGKILL, end_s)):
        if _ends(job, within_s):
            break
        _signal(job, number)
    else:
        _ends(job, end_s)
    status, state = observe(job)
    if state == "interrupted":  # killed: it could not say so itself
        message = "killed while it did not answer: it goes on from its last checkpoint"
        job.write(dataclasses.replace(status, state="cancelled", message=message))
    return job


def delete(workspace: Workspace, reference: str, *, for_good: bool = True) -> JobFolder:
    """Remove a job with its checkpoints; the workspace's prompts and kept results stay.

    Args:
        workspace: where the job is.
        reference: its name.
        for_good: False: the trash keeps it for a week.

    Raises:
        TrainingError: a worker is at it.
        WorkspaceError: there is no such job.
    """
    job = workspace.jobs.get(reference)
    try:
        status, state = observe(job)
        wanted = is_at_work(job.config, status, state)
    except Exception:  # damaged beyond reading: all the more reason to remove it
        wanted = False
    if wanted:
        raise TrainingError(f"{job.id} is {state}: cancel it first")
    (workspace.jobs.remove if for_good else workspace.jobs.discard)(job)
    return job


def _name_notes(config: JobConfig) -> tuple[str, ...]:
    line = name_note(config.name) if config.is_training else None
    return () if line is None else (line,)


def _launch(job: JobFolder) -> None:
    try:
        start_worker(job)
    except KeyboardInterrupt:
        job.stop.touch(mode=0o600)  # nobody would be left to watch it
        raise


def start_worker(job: JobFolder) -> None:
    """Start a worker in a session of its own and wait until its folder names it.

    Raises:
        TrainingError: it ended before; the folder says so too.
    """
    # Threads that spin while they wait take the processor from the dashboard and other programs.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | os.environ
    # -P: no module that lies in the working folder gets in.
    command = [sys.executable, "-P", "-m", "probe.jobs.worker", str(job.path)]
    with open(job.log, "ab", opener=privately) as log:
        worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=job.path,
            start_new_session=True, umask=0o077, env=environment,
        )  # fmt: skip
    # Somebody must take notice of its end, or it stays in the process table as a zombie.
    threading.Thread(target=worker.wait, daemon=True).start()
    while job.status.pid is None:
        if worker.poll() is not None and job.status.pid is None:
            message = f"no worker could be started: see {job.log}"
            job.write(dataclasses.replace(job.status, state="failed", message=message))
            raise TrainingError(message)
        time.sleep(_POLL_S)


def _signal(job: JobFolder, number: signal.Signals) -> None:
    status = job.status
    signal_worker(status.pid, status.started, number)


def _ends(job: JobFolder, within_s: float) -> bool:
    """Whether the worker ends in time."""
    until = time.monotonic() + within_s
    while observe(job)[1] in ACTIVE:
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True
