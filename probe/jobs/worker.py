"""Who works at a job: a process of its own, `python -m probe.jobs.worker FOLDER`, or this one.

Until its turn comes a worker imports nothing large, so a long queue costs little memory.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from probe.atomic import remove_leftovers
from probe.errors import ProbeError, WorkspaceError, is_failure
from probe.jobs.processes import ENDINGS, JobGoneError, Stopped, StopRequest
from probe.jobs.reporter import Reporter, end_reported, is_expected, reason
from probe.jobs.run_queue import only_worker, queued_before, turn
from probe.store import JobConfig, JobFolder, JobKind, Workspace, queued

KINDS: dict[JobKind, str] = {
    "train": "probe.jobs.training",
    "distill": "probe.jobs.distilling",
    "wayward": "probe.jobs.studying",
    "sweep": "probe.jobs.studying",
    "readings": "probe.jobs.studying",
}
"""The module that does each kind of job; it is imported when the job's turn has come."""


class JobModule(Protocol):
    """What such a module has."""

    def run(
        self, workspace: Workspace, job: JobFolder, reporter: Reporter, stop: StopRequest
    ) -> None:
        """Do a job from where it is, and report its end; a job that was stopped goes on so too.

        Raises:
            Stopped: somebody asked for it; what was done is kept.
            ProbeError: the job cannot be done as it was asked for.
        """


def main(arguments: Sequence[str]) -> int:
    """Work at the job of a folder until it is finished, stopped or failed; the exit status."""
    atexit.register(gc.freeze)  # or the end takes a second, looking for garbage in all of torch
    job = JobFolder(Path(arguments[0]).absolute())
    with only_worker(job) as alone:
        if not alone:
            sys.stderr.write("another worker is at this job\n")
            return 1
        remove_leftovers(job.path, grace_s=0)  # what a killed worker was writing
        try:
            _work(Workspace(job.path.parents[1]), job)
        except Stopped:
            return 0
        except JobGoneError:
            return 1
        except BaseException as error:
            if not is_failure(error):
                raise
            if not is_expected(error):
                traceback.print_exc()
            return 1
    return 0


def _work(workspace: Workspace, job: JobFolder) -> None:
    stop = StopRequest(job, ENDINGS)
    stop.patient = True  # who sees the worker's id may signal it before it can report its end
    reporter = Reporter(job)
    with end_reported(job, reporter):
        stop.patient = False
        with _turn(workspace, job, reporter, stop):
            module = cast(JobModule, importlib.import_module(KINDS[job.config.kind]))
            module.run(workspace, job, reporter, stop)


@contextmanager
def at_work(
    workspace: Workspace,
    config: JobConfig,
    *,
    takes_turn: bool = True,
    told: Callable[[Sequence[str]], None] = lambda _: None,
) -> Iterator[tuple[JobFolder, Reporter, StopRequest]]:
    """The folder of a job that this process does itself, when the job's turn has come.

    Args:
        workspace: where it is, or will be.
        config: what it asks.
        takes_turn: False where another machine does the work.
        told: the jobs ahead in the queue, where there are some.

    Raises:
        WorkspaceError: another process is at the same job, or its folder cannot be written.
    """
    job = workspace.jobs.same(config) or workspace.jobs.create(config, queued())
    with only_worker(job) as alone:
        if not alone:
            raise WorkspaceError(f"another process is at {job.id}: wait for it, or end it")
        job.stop.unlink(missing_ok=True)
        status = queued(job.status, takes_turn=takes_turn)
        job.write(replace(status, own_process=False))
        reporter = Reporter(job)
        try:
            stop = StopRequest(job, signals=())
            with end_reported(job, reporter), _turn(workspace, job, reporter, stop, told):
                yield job, reporter, stop
        except JobGoneError as error:
            raise WorkspaceError(f"{job.id} was removed while it was at work") from error
        except BaseException as error:
            if is_expected(error) and not isinstance(error, ProbeError):
                raise WorkspaceError(reason(error)) from error
            raise


@contextmanager
def _turn(
    workspace: Workspace,
    job: JobFolder,
    reporter: Reporter,
    stop: StopRequest,
    told: Callable[[Sequence[str]], None] = lambda _: None,
) -> Iterator[None]:
    """The turn of a job whose process says that it waits, and then that it loads."""

    def waiting() -> None:
        stop.check()
        reporter.beat()

    waiting()
    takes_turn = reporter.status.takes_turn
    if takes_turn and (before := queued_before(workspace, job)):
        told(before)
    with turn(workspace, job, waiting) if takes_turn else nullcontext():
        reporter.doing("loading")
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
