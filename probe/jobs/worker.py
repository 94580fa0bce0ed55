"""The worker of one run, in a process of its own: `python -m probe.jobs.worker RUN_FOLDER`.

Until its turn comes it imports nothing large, so a long queue costs little memory.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from probe.atomic import remove_leftovers
from probe.errors import is_failure
from probe.jobs.failures import is_expected, reason
from probe.jobs.reporter import Reporter
from probe.jobs.run_queue import locked, turn
from probe.jobs.stopping import RunGoneError, Stopped, StopRequest
from probe.store import RunFolder, Workspace

_LOCK = ".worker"


def main(arguments: Sequence[str]) -> int:
    """Work at the run of a folder until it is finished, stopped or failed; the exit status."""
    run = RunFolder(Path(arguments[0]).absolute())
    with _only_worker(run) as only:
        if not only:
            sys.stderr.write("another worker is at this run\n")
            return 1
        remove_leftovers(run.path, grace_s=0)  # what a killed worker was writing
        reporter = Reporter(run)
        return _worked(run, reporter)


def _worked(run: RunFolder, reporter: Reporter) -> int:
    workspace = Workspace(run.path.parents[1])
    try:
        stop = StopRequest(run)

        def waiting() -> None:
            stop.check()
            reporter.beat()

        waiting()
        with turn(workspace.runs, run, waiting):
            reporter.doing("loading")
            from probe.jobs.training import work

            work(workspace, run, reporter, stop)
    except Stopped:
        done = f"stopped at step {reporter.status.step} of {run.config.steps}"
        reporter.end("cancelled", done)
        return 0
    except RunGoneError:
        return 1
    except BaseException as error:
        if not is_failure(error):
            raise
        if not is_expected(error):
            traceback.print_exc()
        reporter.end("failed", reason(error))
        return 1
    return 0


@contextmanager
def _only_worker(run: RunFolder) -> Iterator[bool]:
    """Whether no other worker is at the run; the system frees the place however this one ends."""
    handle = os.open(run.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield locked(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
