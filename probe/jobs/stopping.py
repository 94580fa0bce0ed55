"""How a worker is asked to end, and when it obeys."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from probe.store import JobFolder

ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that ask a process to end."""


class Stopped(KeyboardInterrupt):
    """Somebody asked the worker to end, and nothing is left to save."""


class JobGoneError(Exception):
    """The job's folder was removed: nobody can see the worker any more, so it ends."""


class StopRequest:
    """Somebody's wish that a worker end: a stop file, SIGTERM, SIGINT or a hang-up.

    Args:
        job: whose worker.
        signals: handled here; none where the process is not the job's own.
    """

    def __init__(self, job: JobFolder, signals: Sequence[signal.Signals] = ENDINGS) -> None:
        self._job = job
        self._identity = _identity(job.path)
        self._signalled = False
        self._raised = False
        self.patient = False
        """True while a signal must wait for the end of a step, so that the step can be saved."""
        for number in signals:
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether the worker shall end.

        Raises:
            JobGoneError: its job was removed, so that there is no place to save either.
        """
        if self._identity is None or _identity(self._job.path) != self._identity:
            raise JobGoneError
        return self._signalled or self._job.stop.exists()

    def check(self) -> None:
        """End here if the worker shall end.

        Raises:
            Stopped: it shall.
            JobGoneError: its job was removed.
        """
        if self.asked:
            raise Stopped

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._signalled = True
        if not self.patient and not self._raised:
            self._raised = True  # once: the second must not disturb what the first has begun
            raise Stopped


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which folder it is, whatever others come to have its name; None where it is gone."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino
