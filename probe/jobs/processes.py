"""Processes that others know by number and start, and how a worker is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from probe.errors import TrainingError
from probe.store import JobFolder

_PROC = Path("/proc")
_DEAD = ("Z", "X")
"""States of `/proc/PID/stat` and `ps`: ended, whether or not its parent has taken notice."""


def require_posix() -> None:
    """Refuse systems whose processes have no groups and whose files have no advisory locks.

    Raises:
        TrainingError: this is one of them.
    """
    if os.name != "posix":
        raise TrainingError(
            f"training runs need Linux or macOS, found {sys.platform}: use the Windows Subsystem "
            "for Linux, or probe.training in a program of your own"
        )


def process_start_time(pid: int) -> str | None:
    """When a process began, in the system's own words; None where it is dead or nothing tells.

    Two processes may have one pid, one after the other, but never with the same start.
    """
    if _PROC.is_dir():
        return _start_in_proc(pid)
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    # Two processes that compare a time must write it alike.
    spoken = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, env=spoken)
    except OSError:
        return None
    state, _, began = found.stdout.strip().partition(" ")
    return None if not state or state[0] in _DEAD else began.strip()


def is_alive(pid: int | None, started: str | None) -> bool:
    """Whether the process that began then still runs."""
    return pid is not None and started is not None and process_start_time(pid) == started


def resident_bytes(pid: int) -> int | None:
    """What a process holds in memory; None where it is dead or the system does not tell."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def signal_worker(pid: int | None, started: str | None, number: signal.Signals) -> None:
    """Signal a process, unless it is dead and the pid somebody else's.

    One that leads a session, as workers do, is signalled with all its children; one that a
    terminal started, alone: it may share its group with others.
    """
    if pid is None or not is_alive(pid, started):
        return
    try:
        (os.killpg if os.getsid(pid) == pid else os.kill)(pid, number)
    except ProcessLookupError:
        return  # it has just ended


def _start_in_proc(pid: int) -> str | None:
    """Field 22 of `/proc/PID/stat`, in clock ticks since boot, and which boot (man 5 proc)."""
    try:
        # The second field is the command in brackets and may itself hold blanks and brackets.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in _DEAD else f"{boot} {fields[19]}"


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
