"""Whose turn it is: one job of a workspace trains, the others wait in the order they came."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from probe.atomic import make_private
from probe.errors import WorkspaceError
from probe.jobs.processes import is_alive
from probe.store import JobFolder, Workspace

_WAIT_S = 0.3
_KILLED_S = 2.0
"""So long the threads of a process that was just killed may hold its files."""


@contextmanager
def only_worker(job: JobFolder) -> Iterator[bool]:
    """Whether no other process is at the job; the system frees it however this process ends."""
    with _opened(job.path / ".worker") as handle:
        deadline = time.monotonic() + _KILLED_S
        while not (alone := locked(handle)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield alone


@contextmanager
def turn(workspace: Workspace, job: JobFolder, waiting: Callable[[], None]) -> Iterator[None]:
    """Wait for the job's turn and keep it; the system ends it with the process, however it dies.

    Args:
        workspace: where jobs wait for each other.
        job: whose turn is waited for; its status says since when.
        waiting: called again and again until then.
    """
    make_private(workspace.runs.root)
    with _opened(workspace.runs.root / ".turn") as handle:
        while queued_before(workspace, job) or not locked(handle):
            waiting()
            time.sleep(_WAIT_S)
        yield


def queued_before(workspace: Workspace, job: JobFolder) -> list[str]:
    """Living jobs that train now or queued earlier."""
    mine = (job.status.queued_at, job.id)
    found = []
    for other in workspace.jobs:
        if other.path == job.path:
            continue
        try:
            status = other.status
        except WorkspaceError:
            continue  # a damaged job holds up nobody
        if not (status.takes_turn and is_alive(status.pid, status.started)):
            continue
        earlier = (status.queued_at, other.id) < mine
        if status.state == "running" or (status.state == "queued" and earlier):
            found.append(other.id)
    return found


def locked(handle: int) -> bool:
    """Lock an open file unless another process has; closing it, or dying, frees it."""
    import fcntl  # not everywhere: see require_posix

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)
