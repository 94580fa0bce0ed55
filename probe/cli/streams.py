"""Standard streams that a caller may have closed: they say so in one line, and harm no file."""

from __future__ import annotations

import errno
import io
import os
import sys


class ClosedStream(io.TextIOBase):
    """In place of a stdout that is closed: whoever writes to it is told."""

    def writable(self) -> bool:
        """It takes writes, to refuse them."""
        return True

    def write(self, text: str) -> int:
        """Refuse.

        Raises:
            OSError: always.
        """
        raise OSError(errno.EBADF, f"stdout is closed: {len(text)} characters have nowhere to go")


def mend_streams() -> None:
    """Put something in the place of every standard stream that is closed.

    A file opened later would else get the number of the closed one, and with it what any library
    writes to its standard error.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdin = sys.stdin or io.StringIO()
    sys.stdout = sys.stdout or ClosedStream()
    sys.stderr = sys.stderr or io.StringIO()
