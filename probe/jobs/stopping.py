"""How a worker is asked to end, and when it obeys."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

from probe.store import RunFolder


class Stopped(BaseException):
    """Somebody asked the worker to end, and nothing is left to save."""


class RunGoneError(Exception):
    """The run's folder was removed: nobody can see the worker any more, so it ends."""


class StopRequest:
    """Somebody's wish that a worker end: a stop file, SIGTERM, SIGINT or a hang-up."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._place = _place(run.path)
        self._signalled = False
        self._raised = False
        self.patient = False
        """True while a signal must wait for the end of a step, so that the step can be saved."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether the worker shall end.

        Raises:
            RunGoneError: its run was removed, so that there is no place to save either.
        """
        if self._place is None or _place(self._run.path) != self._place:
            raise RunGoneError
        return self._signalled or self._run.stop.exists()

    def check(self) -> None:
        """End here if the worker shall end.

        Raises:
            Stopped: it shall.
            RunGoneError: its run was removed.
        """
        if self.asked:
            raise Stopped

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._signalled = True
        if not self.patient and not self._raised:
            self._raised = True  # once: the second must not disturb what the first has begun
            raise Stopped


def _place(folder: Path) -> tuple[int, int] | None:
    """Which folder it is, whatever others come to have its name; None where it is gone."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino
