"""Processes that may outlive whoever started them: are they alive, and are they still the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from probe.errors import TrainingError

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
    """When a process began, in the system's own words; None where it is dead.

    Two processes may have one pid, one after the other, but never with the same start.
    """
    if _PROC.is_dir():
        return _start_in_proc(pid)
    found = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, began = found.stdout.strip().partition(" ")
    return None if not state or state[0] in _DEAD else began.strip()


def is_alive(pid: int | None, started: str | None) -> bool:
    """Whether the process that began then still runs."""
    return pid is not None and started is not None and process_start_time(pid) == started


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
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in _DEAD else f"{boot} {fields[19]}"
