"""What a job's process says of itself in the job's folder, its end included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from probe.errors import ProbeError, in_one_line, is_failure, is_full, is_out_of_memory
from probe.jobs.processes import JobGoneError, process_start_time
from probe.store import JobFolder, State, Status

_BEAT_S = 1.0


class Reporter:
    """Writes the status of a job: changes at once, signs of life at most once a second."""

    def __init__(self, job: JobFolder) -> None:
        pid = os.getpid()
        self._job = job
        self._written_s = 0.0
        started = process_start_time(pid)
        self.status = replace(job.status, pid=pid, started=started, activity="waiting")
        self._write()

    def doing(self, activity: str) -> None:
        """The job's turn has come, and this is what is done."""
        self.status = replace(self.status, state="running", activity=activity, eta_s=None)
        self._write()

    def began(self, step: int, device: str = "") -> None:
        """Training goes on from a step, on a device and in a precision."""
        self.status = replace(self.status, began=step, step=step, device=device)
        self._write()

    def note(self, notes: Sequence[str]) -> None:
        """Add what was not done as it might seem, each line once."""
        known = dict.fromkeys([*self.status.notes, *notes])
        self.status = replace(self.status, notes=tuple(known))

    def beat(self, status: Status | None = None, *, now: bool = False) -> None:
        """A sign of life, with a new status if there is one; at once where it must not wait."""
        self.status = status or self.status
        if now or time.monotonic() - self._written_s >= _BEAT_S:
            self._write()

    def end(self, state: State, message: str = "", **found: Any) -> None:
        """Say how the work ended, and what it found where it has found something."""
        self.status = replace(
            self.status, state=state, message=message, activity="", eta_s=None, **found
        )
        self._write()

    def _write(self) -> None:
        self.status = replace(self.status, heartbeat=time.time())
        try:
            self._job.write(self.status)
        except FileNotFoundError as error:
            raise JobGoneError from error
        self._written_s = time.monotonic()


@contextmanager
def end_reported(job: JobFolder, reporter: Reporter) -> Iterator[None]:
    """Say in the job's folder how the work inside ended where it did not finish."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        with suppress(JobGoneError):
            reporter.end("cancelled", _how_far(job, reporter.status))
        raise
    except JobGoneError:
        raise
    except BaseException as error:
        if is_failure(error):
            with suppress(JobGoneError):
                reporter.end("failed", reason(error))
        raise


def reason(error: BaseException) -> str:
    """What befell, and what to do about it, in one line."""
    memory = "choose a smaller batch size, a shorter prompt or a smaller model"
    return in_one_line(error, memory=memory, more="see log.txt")


def is_expected(error: BaseException) -> bool:
    """Whether the reason says all there is to say, without a stack."""
    full = isinstance(error, OSError) and is_full(error)
    return full or isinstance(error, ProbeError) or is_out_of_memory(error)


def _how_far(job: JobFolder, status: Status) -> str:
    if job.config.is_training:
        return f"stopped at step {status.step} of {job.config.steps}"
    return f"stopped after {status.step} runs, which are kept: the same request goes on"
