"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONGEST_S = 240.0
"""Nothing takes so long, on a busy machine either; a test that waits for it has failed."""


def until(what: Callable[[], T], *, within_s: float = LONGEST_S, every_s: float = 0.01) -> T:
    """What `what` answers as soon as it is true."""
    end = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(every_s)
    return found
