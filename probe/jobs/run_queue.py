"""Whose turn it is: one run of a workspace trains, the others wait in the order they came."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probe.errors import WorkspaceError
from probe.jobs.processes import is_alive
from probe.store import RunFolder, RunFolders

_LOCK = ".turn"
_WAIT_S = 0.3


@contextmanager
def turn(runs: RunFolders, run: RunFolder, waiting: Callable[[], None]) -> Iterator[None]:
    """Wait for the run's turn and keep it; the system ends it with the process, however it dies.

    Args:
        runs: the workspace's runs.
        run: whose turn is waited for; its status says since when.
        waiting: called again and again until then.
    """
    handle = os.open(runs.root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not (_is_first(runs, run) and locked(handle)):
            waiting()
            time.sleep(_WAIT_S)
        yield
    finally:
        os.close(handle)


def queued_before(runs: RunFolders, run: RunFolder) -> list[str]:
    """Living runs that train now or queued earlier."""
    mine = (run.status.queued_at, run.id)
    found = []
    for other in runs:
        if other.id == run.id:
            continue
        try:
            status = other.status
        except WorkspaceError:
            continue  # a damaged run holds up nobody
        if not is_alive(status.pid, status.started):
            continue
        earlier = (status.queued_at, other.id) < mine
        if status.state == "running" or (status.state == "queued" and earlier):
            found.append(other.id)
    return found


def _is_first(runs: RunFolders, run: RunFolder) -> bool:
    return not queued_before(runs, run)


def locked(handle: int) -> bool:
    """Lock an open file unless another process has; closing it, or dying, frees it."""
    import fcntl  # not everywhere: see require_posix

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
