"""How a worker is asked to end, and when it obeys."""

from __future__ import annotations

import signal
from types import FrameType

from probe.store import RunFolder


class Stopped(BaseException):
    """Somebody asked the worker to end, and nothing is left to save."""


class StopRequest:
    """Somebody's wish that a worker end: a stop file, SIGTERM or SIGINT."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._signalled = False
        self._raised = False
        self.patient = False
        """True while a signal must wait for the end of a step, so that the step can be saved."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    @property
    def asked(self) -> bool:
        """Whether the worker shall end."""
        return self._signalled or self._run.stop.exists()

    def check(self) -> None:
        """End here if the worker shall end.

        Raises:
            Stopped: it shall.
        """
        if self.asked:
            raise Stopped

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._signalled = True
        if not self.patient and not self._raised:
            self._raised = True  # once: the second must not disturb what the first has begun
            raise Stopped
