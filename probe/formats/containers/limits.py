"""The bytes of a file, and the limits within which every file is read.

The limits keep one promise: whatever a file holds, reading it takes no more than 300 MB above the
idle process. Prompts are small; what needs room is the vocabulary table that some tools save beside
them (206 MB for RoBERTa-large in float32).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from probe.errors import PromptFormatError

MAX_FILE_BYTES = 220_000_000
"""Largest file that is read at all."""
MAX_MEMORY_BYTES = 240_000_000
"""Bytes of a file and of the arrays unpacked from it, together."""
MAX_COPIED_BYTES = 128_000_000
"""Bytes of the arrays and texts that cannot stay views of the file's own bytes."""
MAX_ARCHIVE_BYTES = 64_000_000
"""Largest zip or tar of prompts, and the most its members may unpack to."""
MAX_MEMBERS = 10_000
"""Members of a zip or tar; torch writes one per tensor."""
MAX_NESTING = 64
"""Containers within containers, in JSON, YAML and pickles."""
MAX_DOCUMENT_BYTES = 24_000_000
"""Largest JSON document: a base64 prompt of 256 rows of width 16,384 fits."""
MAX_DOCUMENT_PARTS = 1_000_000
"""Texts, commas and brackets of one JSON document."""
MAX_YAML_BYTES = 65_536
"""Largest YAML document: model configurations have some hundred lines."""

_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Without O_NONBLOCK, opening a named pipe would wait for someone to write to it."""


def read_file(path: str | Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        PromptFormatError: there is no such file, it is no regular file, cannot be read, or is
            larger than `MAX_FILE_BYTES`.
    """
    try:
        descriptor = os.open(path, _OPEN)
    except FileNotFoundError as error:
        raise PromptFormatError(f"{path}: expected a file, found nothing there") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PromptFormatError(f"{path} cannot be opened: {reason}") from error
    try:
        return _regular(descriptor, path)
    except OSError as error:
        raise PromptFormatError(f"{path} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _regular(descriptor: int, path: str | Path) -> bytes:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise PromptFormatError(f"{path}: expected a regular file, found {_kind(found.st_mode)}")
    if found.st_size > MAX_FILE_BYTES:
        raise PromptFormatError(
            f"{path}: expected at most {MAX_FILE_BYTES:,} bytes, found {found.st_size:,}; save the "
            "prompt's own tensors to a file of their own"
        )
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(found.st_size)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


class Budget:
    """Memory that reading one file may still take, in bytes."""

    def __init__(self, size: int) -> None:
        """Start one beside the bytes of the file itself, which stay in memory."""
        self._left = min(MAX_COPIED_BYTES, MAX_MEMORY_BYTES - size)

    def take(self, size: int, what: str) -> None:
        """Account for bytes before they are allocated.

        Raises:
            PromptFormatError: the file asks for more than any prompt needs.
        """
        self._left -= size
        if self._left < 0:
            raise PromptFormatError(
                f"{what} would unpack to more than {MAX_COPIED_BYTES:,} bytes, a prompt never does"
            )


def require_safe_name(name: str, archive: str) -> None:
    """Refuse a member's name that leads out of the archive's own folder, or cannot be shown.

    Raises:
        PromptFormatError: the name is absolute, goes upward, or is not printable.
    """
    parts = name.replace("\\", "/").split("/")
    unsafe = not name.isprintable() or ".." in parts or parts[0] == "" or parts[0][1:2] == ":"
    if unsafe:
        raise PromptFormatError(
            f"{archive}: the name {name[:80]!r} leads out of the archive, or cannot be shown"
        )


def require_small(size: int, what: str) -> None:
    """Refuse what is larger than an archive of prompts.

    Raises:
        PromptFormatError: it is larger than `MAX_ARCHIVE_BYTES`.
    """
    if size > MAX_ARCHIVE_BYTES:
        raise PromptFormatError(
            f"{what} {size:,} bytes, expected at most {MAX_ARCHIVE_BYTES:,} for prompts"
        )
