"""One line on stderr that says how far long work is: written over on a terminal, now and then."""

from __future__ import annotations

import shutil
import sys
import time

from probe.texts import visible

_MOVING_S = 0.5


class Line:
    """Shows how far something is.

    Args:
        every_s: seconds between two lines in a pipe or a log.
    """

    def __init__(self, every_s: float = 10.0) -> None:
        self.moves = sys.stderr.isatty()
        self._every_s = _MOVING_S if self.moves else every_s
        self._shown_s = float("-inf")
        self._width = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def show(self, text: str, *, now: bool = False) -> None:
        """Show it, if it is news that cannot wait, or time has passed."""
        now_s = time.monotonic()
        if not now and now_s - self._shown_s < self._every_s:
            return
        self._shown_s = now_s
        if self.moves:
            text = visible(text)[: shutil.get_terminal_size().columns - 1]  # or it would not move
            sys.stderr.write("\r" + text.ljust(self._width))
            self._width = len(text)
            sys.stderr.flush()
        else:
            self.tell(f"probe: {text}")

    def tell(self, text: str) -> None:
        """Say a line that stays."""
        self._end()
        sys.stderr.write(f"{visible(text)}\n")
        sys.stderr.flush()

    def _end(self) -> None:
        """Leave the line that moves as it is."""
        if self._width:
            sys.stderr.write("\n")
        self._width = 0
