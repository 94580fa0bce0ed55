"""How fast a run goes, and when it will be through."""

from __future__ import annotations

import statistics
from collections import deque

_RECENT = 50


def duration(seconds: float) -> str:
    """Words for a time span."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Pace:
    """Remembers how long the last 50 steps took."""

    def __init__(self, now_s: float) -> None:
        self._last_s = now_s
        self._took_s: deque[float] = deque(maxlen=_RECENT)

    def step(self, now_s: float) -> None:
        """A step has just ended."""
        self._took_s.append(now_s - self._last_s)
        self._last_s = now_s

    def eta_s(self, steps_left: int) -> float | None:
        """Seconds that so many steps take at the median of the recent ones.

        The median, because a validation, a checkpoint or a nap of the machine falls on few steps.
        None before the second step: the first one warms up.
        """
        if len(self._took_s) < 2:
            return None
        return steps_left * statistics.median(self._took_s)
