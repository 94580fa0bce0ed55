"""A worker's own account of itself."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from probe.jobs.processes import process_start_time
from probe.jobs.stopping import RunGoneError
from probe.store import RunFolder, State, Status

_BEAT_S = 1.0


class Reporter:
    """Writes the status of a run: news at once, signs of life at most once a second."""

    def __init__(self, run: RunFolder) -> None:
        pid = os.getpid()
        self._run = run
        self._written_s = 0.0
        self.status = replace(
            run.status, pid=pid, started=process_start_time(pid), activity="waiting"
        )
        self._write()

    def doing(self, activity: str) -> None:
        """The worker's turn has come, and this is what it does."""
        self.status = replace(self.status, state="running", activity=activity)
        self._write()

    def began(self, step: int) -> None:
        """Training goes on from a step."""
        self.status = replace(self.status, began=step, step=step)
        self._write()

    def note(self, notes: Sequence[str]) -> None:
        """Add what was not done as it might seem, each line once."""
        known = dict.fromkeys([*self.status.notes, *notes])
        self.status = replace(self.status, notes=tuple(known))

    def beat(self, status: Status | None = None) -> None:
        """A sign of life, with a new status if there is one."""
        self.status = status or self.status
        if time.monotonic() - self._written_s >= _BEAT_S:
            self._write()

    def end(
        self,
        state: State,
        message: str = "",
        *,
        prompts: tuple[str, ...] = (),
        metrics: dict[str, Any] | None = None,
    ) -> None:
        """The worker's last word."""
        self.status = replace(
            self.status,
            state=state,
            message=message,
            activity="",
            eta_s=None,
            prompts=prompts,
            metrics=metrics or {},
        )
        self._write()

    def _write(self) -> None:
        self.status = replace(self.status, heartbeat=time.time())
        try:
            self._run.write(self.status)
        except FileNotFoundError as error:
            raise RunGoneError from error
        self._written_s = time.monotonic()
