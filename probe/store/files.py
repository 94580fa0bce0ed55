"""Files of the workspace: for their owner alone, whole or not at all; and kept arrays."""

from __future__ import annotations

import errno
import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path

import numpy as np

from probe.arrays import Arrays as Arrays
from probe.atomic import file_aside, make_private, naming
from probe.errors import WorkspaceError, is_full


def keep_file(path: Path, data: bytes) -> None:
    """Write a file of the workspace; its folder must be there, so that none comes back to life.

    Raises:
        OSError: the folder cannot be written; its `filename` is set.
    """
    with file_aside(path) as file:
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
            write_whole(file, data.ljust(path.stat().st_size))  # blanks at the end are no matter


def write_whole(file: FileIO, data: bytes) -> None:
    """Write to a file without a buffer, which may take a part and say nothing.

    Raises:
        OSError: the disk is full; its `filename` is set.
    """
    with naming(Path(str(file.name))):
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, "no space for the rest")


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


def require_kinds(found: object, kinds: Mapping[str, tuple[type, ...]]) -> None:
    """Refuse a document of the workspace whose fields are of other kinds than we write.

    Args:
        found: what was made of it.
        kinds: the types of each field that is looked at, of a tuple those of its items.

    Raises:
        ValueError: a field is of another kind.
    """
    for name, known in kinds.items():
        value = getattr(found, name)
        if any(type(one) not in known for one in (value if isinstance(value, tuple) else (value,))):
            raise ValueError(f"{name} of another kind: {value!r}")


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


_LOG = logging.getLogger(__name__)


def cached_arrays(
    folder: Path, key: str, compute: Callable[[], Arrays], fits: Callable[[Arrays], bool]
) -> Arrays:
    """The arrays kept under a key; computed, and kept, when none can be read.

    Args:
        folder: where they are kept.
        key: names content, parameters and version of what is computed.
        compute: makes the arrays.
        fits: whether kept arrays have the names, shapes and values that computed ones would.
    """
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"
    kept = _read(path)
    if kept is not None and fits(kept):
        return kept
    if path.exists():
        _LOG.info("%s does not hold what belongs there: computing it again", path)
    arrays = compute()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with suppress(OSError):  # a full or read-only disk costs the cache, not the answer
        make_private(folder)
        keep_file(path, buffer.getvalue())
    return arrays


def _read(path: Path) -> Arrays | None:
    try:
        # Opened here because numpy leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            # Its own checksums first: a flipped bit would otherwise come back as numbers.
            return None if kept.zip.testzip() else dict(kept)
    except Exception:  # absent or damaged, in whatever way: computing again cures both
        return None
