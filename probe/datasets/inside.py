"""A task reads what lies in its own folder: files of strangers lead nowhere else."""

from __future__ import annotations

from pathlib import Path

from probe.errors import DataError


def require_inside(folder: Path, path: Path) -> Path:
    """A file or folder of a task, and all it holds, once it is sure where they lie.

    Args:
        folder: the task's; it may itself be a link.
        path: below it, by its name.

    Returns:
        The path, as it was given.

    Raises:
        DataError: it lies elsewhere, by its name or by a link.
    """
    home = folder.resolve()
    for one in (path, *(path.rglob("*") if path.is_dir() else ())):
        try:
            place = one.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a ring of links, a NUL
            raise DataError(f"{one}: expected a file of the task, found {error}") from error
        if not place.is_relative_to(home):
            raise DataError(
                f"{one}: expected a file inside the task's folder {folder}, found that it leads to "
                f"{place}: put a copy there, or name the folder of the rows with --data-dir"
            )
    return path
