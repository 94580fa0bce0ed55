"""How fast a run goes, and when it will be through."""

from __future__ import annotations

from collections import deque
from statistics import mean

_RECENT = 50
_LEAST = 3
"""Steps that are timed before anything is foretold; the one before them warms up."""
_OUTLIERS = 0.05
"""Share at each end that tells nothing: a validation, a checkpoint, a nap of the machine."""
_SMOOTHING = 0.1
"""How far what is foretold moves towards the newest estimate at each step."""


def duration(seconds: float) -> str:
    """Words for a time span."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Pace:
    """Remembers how long the last 50 steps took, and what it foretold."""

    def __init__(self, now_s: float) -> None:
        self._last_s = now_s
        self._took_s: deque[float] = deque(maxlen=_RECENT)
        self._steps = 0
        self._end_s: float | None = None
        """When the last step will end, as it was foretold last."""
        self._asked_at = 0

    def step(self, now_s: float) -> None:
        """A step has just ended."""
        if self._steps:
            self._took_s.append(now_s - self._last_s)
        self._steps += 1
        self._last_s = now_s

    def eta_s(self, steps_left: int) -> float | None:
        """Seconds that so many steps take, smoothed; None before four steps.

        It takes the mean of the recent steps without the twentieth at each end, and moves the
        foretold end a tenth of the way there at each step: a slow second adds no minutes.
        """
        if steps_left == 0:
            return 0.0
        if len(self._took_s) < _LEAST:
            return None
        estimate = self._last_s + steps_left * _trimmed_mean(self._took_s)
        kept = (1 - _SMOOTHING) ** (self._steps - self._asked_at)
        before = estimate if self._end_s is None else self._end_s
        self._end_s, self._asked_at = estimate + kept * (before - estimate), self._steps
        return max(0.0, self._end_s - self._last_s)


def _trimmed_mean(values: deque[float]) -> float:
    out = max(1, int(len(values) * _OUTLIERS))
    return mean(sorted(values)[out : len(values) - out])
