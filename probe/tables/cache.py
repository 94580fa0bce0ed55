"""Files that can be made again, kept below `$PROBE_HOME/cache`."""

from __future__ import annotations

import os
from collections.abc import Callable
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
    with file_aside(path, private=True) as file:
        fill(file)


def write_folder_aside(path: Path, fill: Callable[[Path], object]) -> None:
    """Fill a folder aside, then rename it; one that another process put there first stays."""
    make_private(path.parent)
    with folder_aside(path.parent, private=True) as aside:
        fill(aside)
        if not path.is_dir():
            aside.rename(path)


def drop_unused(folder: Path, kept: Path, limit: int = MAX_KEPT_BYTES) -> None:
    """Remove what was unused for longest until the folder holds `limit` bytes or only `kept`."""
    os.utime(kept)
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    held = 0
    for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True):
        held += _size(entry)
        if held > limit and entry != kept:
            remove_folder(entry) if entry.is_dir() else entry.unlink()


def _size(entry: Path) -> int:
    files = entry.rglob("*") if entry.is_dir() else (entry,)
    return sum(file.stat().st_size for file in files if file.is_file())
