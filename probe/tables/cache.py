"""Files made of a model's, kept in a cache until others need the room."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from probe.atomic import file_aside, folder_aside, make_private, remove_folder
from probe.paths import home

MAX_KEPT_BYTES = 32 << 30
"""What one folder of made files may hold before the ones unused for longest go."""


def cache_folder(kind: str = "tables") -> Path:
    """Where one kind of made files is kept: `$PROBE_HOME/cache/tables`."""
    return home() / "cache" / kind


def write_aside(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file aside, then rename it: readers see all of it or none."""
    make_private(path.parent)
    with file_aside(path) as file:
        fill(file)


def write_folder_aside(path: Path, fill: Callable[[Path], object]) -> None:
    """Fill a folder aside, then rename it; one that another process put there first stays."""
    make_private(path.parent)
    with folder_aside(path.parent, private=True) as aside:
        fill(aside)
        if not path.is_dir():
            aside.rename(path)


def drop_unused(folder: Path, kept: Path) -> None:
    """Remove what was unused for longest until the folder is small enough or holds only `kept`."""
    os.utime(kept)
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    held = 0
    for entry in sorted(entries, key=_used, reverse=True):
        held += _size(entry)
        if held > MAX_KEPT_BYTES and entry != kept:
            with suppress(FileNotFoundError):
                remove_folder(entry) if entry.is_dir() else entry.unlink()


def _used(entry: Path) -> float:
    """When it was used last; one that another process has just removed never was."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(entry: Path) -> int:
    size = 0
    for file in entry.rglob("*") if entry.is_dir() else (entry,):
        with suppress(FileNotFoundError):
            size += file.stat().st_size if file.is_file() else 0
    return size
