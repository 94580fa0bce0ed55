"""sha256 of a folder's files, noted beside them as `sha256sum` does: `sha256sum -c` checks them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

DIGESTS_FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def write_digests(folder: Path, names: Iterable[str]) -> None:
    """Note the digests of some files of a folder.

    Raises:
        OSError: a file cannot be read, or the folder not be written.
    """
    lines = (f"{digest_of(folder / name)}  {name}\n" for name in sorted(names))
    (folder / DIGESTS_FILE).write_text("".join(lines), encoding="utf-8")


def noted_digests(folder: Path) -> dict[str, str]:
    """The digests by file name; empty where none can be read."""
    try:
        lines = (folder / DIGESTS_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = (_LINE.fullmatch(line) for line in lines)
    return {line[2]: line[1] for line in found if line}


def changed_files(folder: Path) -> list[str]:
    """Names of files that are not, or no longer, what was noted; none where nothing was noted."""
    try:
        lines = (folder / DIGESTS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []  # of a version that noted none
    except (OSError, UnicodeDecodeError):
        return [DIGESTS_FILE]
    found = [_LINE.fullmatch(line) for line in lines]
    if not found or None in found:
        return [DIGESTS_FILE]
    return [line[2] for line in found if line and not _holds(folder / line[2], line[1])]


def digest_of(path: Path) -> str:
    """sha256 of a file in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lasting_digest_of(path: Path) -> str:
    """sha256 of a file that is asked for again and again: read anew only where it has changed.

    Raises:
        OSError: it cannot be read.
    """
    now = path.stat()
    return _digest_at(path, (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))


@lru_cache(maxsize=8)
def _digest_at(path: Path, _: tuple[int, ...]) -> str:
    return digest_of(path)


def _holds(path: Path, digest: str) -> bool:
    try:
        return digest_of(path) == digest
    except (OSError, ValueError):  # a damaged name may even hold a null byte
        return False
