"""How much the public demo computes: per visitor, for all of them, and within how much memory.

A dashboard of one's own has no limits. What was computed before is free, as it comes from a cache.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.shared.public_demo import DemoError, is_public
from probe.jobs.processes import resident_bytes
from probe.texts import counted

P = ParamSpec("P")
T = TypeVar("T")
MEMORY = "PROBE_DEMO_MEMORY_MB"
"""The resident memory, in MB, from which on the server computes nothing further."""
MOST_LETTERS = 4000
"""Of all that one computation is given to read: a sentence, a template and label words fit."""
_MOST_VISITORS = 10_000
"""Whose past is remembered, so that inventing visitors fills no memory."""


@dataclass
class Rate:
    """How many times something may be asked for within a time."""

    what: str
    """What is counted, in the singular."""
    each: int
    """By one visitor."""
    together: int
    """By all of them."""
    within_s: float
    _past: dict[str, deque[float]] = field(default_factory=dict)
    _all: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, visitor: str, now: float | None = None) -> None:
        """Count one more.

        Raises:
            DemoError: it would be one too many; the line says when the next one may come.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            own = self._past.setdefault(visitor, deque())
            for past, most, whose in (
                (own, self.each, "a visitor"),
                (self._all, self.together, "all visitors together"),
            ):
                while past and past[0] <= now - self.within_s:
                    past.popleft()
                if len(past) >= most:
                    wait_s = past[0] + self.within_s - now if past else self.within_s
                    raise DemoError(
                        f"the public demo makes {counted(most, self.what)} in "
                        f"{self.within_s:.0f} s for {whose}: try again in {wait_s:.0f} s"
                    )
            own.append(now)
            self._all.append(now)
            while len(self._past) > _MOST_VISITORS:
                del self._past[next(iter(self._past))]


COMPUTATIONS = Rate("computation", each=40, together=240, within_s=60)
DOWNLOADS = Rate("download", each=20, together=120, within_s=60)
DISTILLATIONS = Rate("distillation", each=2, together=12, within_s=600)


def visitor() -> str:
    """Who looks at this page: by address, as the proxy next to us saw it, else by session.

    Only the last address of X-Forwarded-For is a proxy's own word; whoever forges it where there is
    no proxy is still counted among all visitors.
    """
    forwarded = (st.context.headers.get("X-Forwarded-For") or "").rpartition(",")[2].strip()
    context = get_script_run_ctx()
    found = forwarded or st.context.ip_address or (context.session_id if context else "")
    return found[:64]


def costly(compute: Callable[P, T]) -> Callable[P, T]:
    """A computation that the public demo counts; put it below the cache, which answers for free."""

    @functools.wraps(compute)
    def admitted(*given: P.args, **named: P.kwargs) -> T:
        if is_public():
            _admit((*given, *named.values()))
        return compute(*given, **named)

    return admitted


def _admit(given: Iterable[object]) -> None:
    require_short(given)
    require_memory()
    COMPUTATIONS.admit(visitor())


def require_short(given: Iterable[object], most: int = MOST_LETTERS) -> None:
    """Refuse texts that would take long to read.

    Raises:
        DemoError: they are longer together than `most` characters, or hold a regular expression,
            which can take any time to match.
    """
    texts = list(_texts(given))
    if any(text.startswith("regex:") for text in texts):
        raise DemoError("the public demo takes no regular expression: use Find a token")
    if (found := sum(map(len, texts))) > most:
        raise DemoError(
            f"the public demo reads {most:,} characters at a time, found {found:,}: shorten them"
        )


def require_memory() -> None:
    """Let go of what is cached where memory is short.

    Raises:
        DemoError: the server holds more memory than it may.
    """
    most_mb = float(os.environ.get(MEMORY, "inf"))
    if _resident_mb() <= most_mb:
        return
    st.cache_data.clear()
    raise DemoError("the public demo is out of memory for now: try again in a minute")


def _resident_mb() -> float:
    """What this process holds; where the system does not tell, the most it ever held."""
    if (held := resident_bytes(os.getpid())) is not None:
        return held / 1e6
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def _texts(given: Iterable[object]) -> Iterable[str]:
    for one in given:
        if isinstance(one, str):
            yield one
        elif isinstance(one, tuple | list):
            yield from _texts(one)
