"""Writing so that a reader, a kill or a power cut in the middle never meets half of anything.

What is written lies aside under a name of its own until it is whole, then takes its place. While
it is filled its writer holds a lock on it, which the system ends with the process however it
dies: whatever nobody holds is a leftover, and the next write beside it sweeps it away.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from probe.errors import ProbeError, is_full

TEMPORARY_PREFIX = ".writing-"
TAKEN = "is there already: choose another destination or remove it"
_GRACE_S = 5.0
"""A temporary younger than this may be one that its writer is about to lock."""
_LEFTOVER_AGE_S = 3600.0
"""Where locks cannot tell, one older than this belongs to nobody: no write takes an hour."""


def require_new(path: Path) -> Path:
    """A place to write to, its `~` spelt out, where nothing is yet; said before any work.

    Raises:
        ProbeError: something is there, be it a link to nowhere.
    """
    path = Path(os.path.expanduser(path))
    if os.path.lexists(path):
        raise ProbeError(f"{path} {TAKEN}")
    return path


def write_new(path: Path, data: bytes | str) -> None:
    """Write a file, or a text as UTF-8, where nothing is even now; missing folders are made.

    Half of a character is spelt out.

    Raises:
        ProbeError: something is there.
        OSError: the folder cannot be written; its `filename` is set.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file_aside(path, new=True) as file:
            file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
    except FileExistsError as error:
        raise ProbeError(f"{path} {TAKEN}") from error


@contextmanager
def file_aside(path: Path, *, new: bool = False) -> Iterator[BinaryIO]:
    """A file to fill, which takes its place when the block ends well; its folder must be there.

    Args:
        path: its place.
        new: as the user's umask has it, and never in place of another, however late that came;
            else for its owner alone, in place of the one before.

    Raises:
        FileExistsError: it is to be new, and something is there.
        OSError: it cannot be written; `filename` is set.
    """
    remove_leftovers(path.parent)
    with naming(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY_PREFIX)
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                _hold(handle)
                yield file
                file.flush()
                if new:
                    aside.chmod(0o666 & ~_umask())
                os.fsync(handle)
                (rename_new if new else os.replace)(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


@contextmanager
def folder_aside(parent: Path, *, private: bool = False) -> Iterator[Path]:
    """An empty folder in `parent` to fill and rename; whatever is left of it is removed."""
    remove_leftovers(parent)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=TEMPORARY_PREFIX))
    try:
        with _held(folder), naming(parent):
            if not private:
                folder.chmod(0o777 & ~_umask())
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rename_new(made: Path, place: Path) -> None:
    """Rename a finished file or folder to a place where nothing is; that is one step.

    Raises:
        FileExistsError: something is there.
        OSError: it cannot be renamed.
    """
    if made.is_dir():
        rename_to_free(made, (place,))
        return
    try:
        os.link(made, place)  # unlike a renaming, it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # not every file system has links: an empty file keeps the place instead
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            made.replace(place)
        except BaseException:
            place.unlink()
            raise
    else:
        made.unlink()


def rename_to_free(folder: Path, places: Iterable[Path]) -> Path:
    """Rename a folder to the first of some places that is free, and return it.

    The renaming decides between processes that want one place at once. Folders there are never
    empty, for over an empty one a folder may be renamed.

    Raises:
        OSError: it cannot be renamed, or every place is taken.
    """
    for place in places:
        try:
            return folder.rename(place)
        except OSError:
            if not os.path.lexists(place):
                raise
    raise FileExistsError(errno.EEXIST, "there already", str(place))


def numbered(place: Path) -> Iterator[Path]:
    """A place, and those with a number behind its name: first `mood`, then `mood-2`."""
    yield place
    yield from (place.with_name(f"{place.name}-{number}") for number in itertools.count(2))


def remove_folder(folder: Path) -> None:
    """Delete a folder: out of sight at once, then gone. It takes no space, as a full disk has none.

    Raises:
        OSError: it cannot be deleted.
    """
    aside = folder.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{time.monotonic_ns()}")
    try:
        folder.rename(aside)
    except OSError as error:
        if not is_full(error):
            raise
        shutil.rmtree(folder)  # not even a name is free
    else:
        shutil.rmtree(aside, ignore_errors=True)  # what withstands is a leftover


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone.

    Raises:
        OSError: it cannot be made, or something else has its name.
    """
    if folder.is_dir():
        return
    make_private(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise


def privately(path: str, flags: int) -> int:
    """An opener: `open(path, "ab", opener=privately)` makes a file for its owner alone."""
    return os.open(path, flags, 0o600)


def settle(folder: Path, *, private: bool = False) -> None:
    """Make a folder's contents survive a power cut before it is renamed into its place."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_folder(path)
            continue
        if private:
            path.chmod(0o600)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    if os.name == "nt":
        return
    with _opened(folder) as handle, suppress(OSError):  # some file systems know no such thing
        os.fsync(handle)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give an error of the system the path it lacks: writing to an open file names none."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def is_temporary(path: Path) -> bool:
    """Whether a path is something a write was still filling."""
    return path.name.startswith(TEMPORARY_PREFIX)


def leftovers(parent: Path, *, grace_s: float = _GRACE_S) -> list[Path]:
    """Temporary files and folders in `parent` that a killed process left behind.

    Args:
        parent: where to look, not in its subfolders.
        grace_s: those that changed so many seconds ago or less stay.
    """
    try:
        with os.scandir(parent) as entries:
            found = [Path(entry.path) for entry in entries if is_temporary(Path(entry.name))]
    except OSError:
        return []
    return sorted(path for path in found if _is_abandoned(path, grace_s))


def all_leftovers(root: Path) -> list[Path]:
    """What `leftovers` finds in a folder and in every folder below it."""
    found = []
    for folder, names, _ in os.walk(root):
        found += leftovers(Path(folder))
        names[:] = [name for name in names if not is_temporary(Path(name))]
    return sorted(found)


def remove_leftovers(parent: Path, *, grace_s: float = _GRACE_S) -> list[Path]:
    """Delete what `leftovers` finds and return it."""
    return [path for path in leftovers(parent, grace_s=grace_s) if remove_path(path)]


def remove_path(path: Path) -> bool:
    """Delete a file or a folder as far as that can be done; whether it is gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return not os.path.lexists(path)


def _is_abandoned(path: Path, grace_s: float) -> bool:
    try:
        age_s = time.time() - path.lstat().st_mtime
    except OSError:
        return False  # its writer has just finished
    if age_s < grace_s:
        return False
    free = _is_free(path)
    return age_s >= _LEFTOVER_AGE_S if free is None else free


def _is_free(path: Path) -> bool | None:
    """Whether no writer holds it; None where the system cannot tell."""
    try:
        import fcntl

        with _opened(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    if os.name == "nt":
        yield
        return
    with _opened(folder) as handle:
        _hold(handle)
        yield


def _hold(handle: int) -> None:
    """Lock what is being written; without locks its age must do."""
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    try:
        yield handle
    finally:
        os.close(handle)


_UMASK = threading.Lock()


def _umask() -> int:
    with _UMASK:  # of two threads at once the later would put back what the first had set
        current = os.umask(0o077)
        os.umask(current)
    return current
