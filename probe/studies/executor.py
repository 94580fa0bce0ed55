"""Train whatever is not yet kept, pack by pack, here or on a cluster."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from probe.errors import ProbeError
from probe.studies.cache import FileCache, ResultCache
from probe.studies.packs import AnyPack, PackStep, work
from probe.studies.specs import KeyedRun, StudySettings, packs_of

AT_ONCE = 8
"""Prompts of a pack unless asked otherwise."""


@dataclass(frozen=True)
class Executor:
    """Where packs are trained, and how large they are."""

    at_once: int = AT_ONCE
    """At most so many prompts are trained in one pass."""
    ray: str | None = None
    """None: in this process. local: on a Ray cluster of this machine. auto or HOST:PORT: on one
    that runs."""
    gpu_share: float = 0.0
    """GPUs that a pack on Ray takes; below 1 several share one."""


@dataclass(frozen=True)
class Progress:
    """How far a sweep is."""

    done: int
    """Runs whose results are kept."""
    runs: int
    found: int
    """Of those done, how many had been done before."""
    packs: int
    """To be done in all."""
    pack: PackStep | None = None
    """How far the present pack is, where it is trained in this process."""
    eta_s: float | None = None
    what: str = "run"
    """What is counted: runs, or readings of their prompts."""


Watch = Callable[[Progress], None]


def sweep(
    runs: Sequence[KeyedRun],
    shared: StudySettings,
    cache: ResultCache,
    *,
    executor: Executor | None = None,
    watch: Watch = lambda _: None,
) -> None:
    """Bring every run's result into the cache; a run is trained once however often it is asked for.

    A pack that is interrupted in this process goes on from its last checkpoint when the same runs
    are asked for again.

    Args:
        runs: may hold one key several times.
        shared: what all runs share.
        cache: where results are, and go.
        executor: this process, in packs of eight, when None.
        watch: told of the start, of every step in this process, and of every finished pack.

    Raises:
        ProbeError: a run cannot be done as it was asked for; those finished before stay.
    """
    executor = executor or Executor()
    wanted = {run.key: run for run in runs}
    missing = [run for key, run in wanted.items() if cache.get(key) is None]
    packs = packs_of(missing, shared, at_once=executor.at_once)
    found = len(wanted) - len(missing)
    finish(packs, Progress(found, len(wanted), found, len(packs)), cache, executor, watch)


def finish(
    packs: Sequence[AnyPack],
    progress: Progress,
    cache: FileCache[Any],
    executor: Executor,
    watch: Watch,
) -> None:
    """Do packs here or on a cluster, and keep every result as its pack finishes.

    Raises:
        ProbeError: one cannot be done as it was asked for; those finished before stay.
    """
    pace = _Pace(progress, sum(pack.updates for pack in packs))
    watch(pace.progress)
    for pack, files in _finished(packs, cache, executor, pace, watch):
        for key, data in zip(pack.keys, files, strict=True):
            cache.put(key, data)
        watch(pace.finished(pack))


def _finished(
    packs: Sequence[AnyPack], cache: FileCache[Any], executor: Executor, pace: _Pace, watch: Watch
) -> Iterator[tuple[AnyPack, list[bytes]]]:
    if not packs:
        return
    if executor.ray is not None:
        from probe.studies.on_ray import spread

        yield from spread(packs, executor.ray, gpu_share=executor.gpu_share)
        return
    for pack in packs:
        # Named by all its runs: another pack has another place.
        folder = cache.folder / "unfinished" / _name(pack)
        try:
            files = work(pack, folder=folder, report=partial(_step, pace, pack, watch))
        except ProbeError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        yield pack, files
        shutil.rmtree(folder, ignore_errors=True)


def _step(pace: _Pace, pack: AnyPack, watch: Watch, step: PackStep) -> None:
    watch(pace.at(pack, step))


def _name(pack: AnyPack) -> str:
    return hashlib.sha256(" ".join(pack.keys).encode()).hexdigest()[:32]


class _Pace:
    """Progress with the time it takes, judged by updates made so far."""

    def __init__(self, progress: Progress, updates: int) -> None:
        self.progress = progress
        self._left = updates
        self._made = 0
        self._began_s = time.monotonic()

    def at(self, pack: AnyPack, step: PackStep) -> Progress:
        """Within a pack."""
        made = min(step.step * len(pack.runs), pack.updates) if not step.scoring else pack.updates
        # Nothing but scoring is left after the last update, and how long that takes is not known.
        return replace(self.progress, pack=step, eta_s=self._eta_s(made) or None)

    def finished(self, pack: AnyPack) -> Progress:
        """After a pack."""
        self._made += pack.updates
        self._left -= pack.updates
        done = self.progress.done + len(pack.runs)
        self.progress = replace(self.progress, done=done, eta_s=self._eta_s(0))
        return self.progress

    def _eta_s(self, more: int) -> float | None:
        made = self._made + more
        if not made:
            return None
        return (time.monotonic() - self._began_s) / made * (self._left - more)
