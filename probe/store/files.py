"""Files of the workspace: for their owner alone, whole or not at all, and never in the way."""

from __future__ import annotations

from pathlib import Path

from probe.atomic import file_aside, is_full
from probe.errors import WorkspaceError


def keep_file(path: Path, data: bytes) -> None:
    """Write a file of the workspace; its folder must be there, so that none comes back to life.

    Raises:
        OSError: the folder cannot be written; its `filename` is set.
    """
    with file_aside(path, private=True) as file:
        file.write(data)


def unwritable(place: Path, error: OSError) -> WorkspaceError:
    """Why a place cannot be written, and what to do."""
    if is_full(error):
        return WorkspaceError(
            f"disk full at {place}: free space, `probe library remove` and "
            "`probe runs delete` need none"
        )
    return WorkspaceError(
        f"{place} cannot be written ({error.strerror or error}): free space, or set PROBE_HOME to "
        "a folder of yours"
    )


def file_stamp(*paths: Path) -> tuple[int, ...]:
    """Time of the last change (ns), size (bytes) and inode of files; zeros where none is."""
    stamp: list[int] = []
    for path in paths:
        try:
            found = path.stat()
            stamp += found.st_mtime_ns, found.st_size, found.st_ino
        except OSError:
            stamp += 0, 0, 0
    return tuple(stamp)
