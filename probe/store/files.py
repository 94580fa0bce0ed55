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


def keep_in_place(path: Path, data: bytes) -> None:
    """Write a small file of the workspace that must be written even where the disk is full.

    There it goes into the blocks the file has: a reader may for a moment meet half of it, which
    is less bad than that nobody learns why something failed.

    Raises:
        OSError: the folder is gone or cannot be written.
    """
    try:
        keep_file(path, data)
    except OSError as error:
        if not is_full(error) or not path.exists():
            raise
        with path.open("r+b", buffering=0) as file:
            file.write(data.ljust(path.stat().st_size))  # blanks at the end are no matter


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
