"""Writing so that a reader, or a kill in the middle, never meets half of anything."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_PREFIX = ".writing-"
_LEFTOVER_AGE_S = 3600
"""A temporary older than this belongs to nobody: no write takes an hour."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a file aside and rename it into place.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=TEMPORARY_PREFIX, delete=False
    ) as aside:
        try:
            aside.write(data)
            aside.flush()
            os.fsync(aside.fileno())
            aside.close()
            # Temporary files are private; what takes their place obeys the user's umask.
            os.chmod(aside.name, 0o666 & ~_umask())
            os.replace(aside.name, path)
        except BaseException:
            aside.close()
            Path(aside.name).unlink(missing_ok=True)
            raise


@contextmanager
def folder_aside(parent: Path) -> Iterator[Path]:
    """An empty folder in `parent` to fill and rename; whatever is left of it is removed."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=TEMPORARY_PREFIX))
    folder.chmod(0o777 & ~_umask())
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_temporary(path: Path) -> bool:
    """Whether a path is something a write was still filling."""
    return path.name.startswith(TEMPORARY_PREFIX)


def file_stamp(*paths: Path) -> tuple[int, ...]:
    """Time of the last change (ns) and size (bytes) of files or folders; zeros where none is."""
    stamp: list[int] = []
    for path in paths:
        try:
            found = path.stat()
            stamp += found.st_mtime_ns, found.st_size
        except OSError:
            stamp += 0, 0
    return tuple(stamp)


def leftovers(parent: Path, *, older_than_s: float = _LEFTOVER_AGE_S) -> list[Path]:
    """Temporary files and folders in `parent` that a killed process left behind."""
    if not parent.is_dir():
        return []
    before = time.time() - older_than_s
    found = []
    for path in parent.iterdir():
        try:
            if is_temporary(path) and path.stat().st_mtime <= before:
                found.append(path)
        except FileNotFoundError:
            continue  # its writer has just finished
    return sorted(found)


def remove_leftovers(parent: Path, *, older_than_s: float = _LEFTOVER_AGE_S) -> list[Path]:
    """Delete what `leftovers` finds and return it."""
    found = leftovers(parent, older_than_s=older_than_s)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return found


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
