"""A study at work: its folder tells whoever looks how it stands."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd

from probe.atomic import make_private
from probe.errors import ProbeError, WorkspaceError
from probe.jobs.failures import is_expected, reason
from probe.jobs.processes import process_start_time
from probe.jobs.run_queue import locked
from probe.jobs.views import ObservedState, observe
from probe.store import State, Status, StudyConfig, StudyFolder, Workspace, keep_file
from probe.store.files import unwritable
from probe.studies.executor import Progress, Watch
from probe.texts import as_json

_LOCK = ".worker"
_LAST_BREATH_S = 2.0
_BEAT_S = 1.0


class Reporter:
    """Writes a study's status: news at once, steps at most once a second."""

    def __init__(self, study: StudyFolder, status: Status) -> None:
        self._study, self.status = study, status
        self._written_s = 0.0

    def watch(self, progress: Progress) -> None:
        """Note how far the sweep is."""
        news = progress.done != self.status.step or progress.pack is None
        self.status = replace(
            self.status,
            activity="training",
            step=progress.done,
            loss_nats=None if progress.pack is None else as_json(progress.pack.loss_nats),
            eta_s=progress.eta_s,
            metrics=_counts(progress),
        )
        if news or time.monotonic() - self._written_s >= _BEAT_S:
            self._write()

    def doing(self, activity: str) -> None:
        """Say what the study is doing."""
        self.status = replace(self.status, activity=activity)
        self._write()

    def end(self, state: State, message: str = "") -> None:
        """The last word."""
        self.status = replace(self.status, state=state, message=message, activity="", eta_s=None)
        self._write()

    def _write(self) -> None:
        self.status = replace(self.status, heartbeat=time.time())
        self._study.write(self.status)
        self._written_s = time.monotonic()


@contextmanager
def at_work(workspace: Workspace, config: StudyConfig) -> Iterator[tuple[StudyFolder, Reporter]]:
    """The folder of a study and its reporter, for the one process that works at it.

    Raises:
        WorkspaceError: another process works at the same study, or the folder cannot be written.
    """
    pid = os.getpid()
    status = Status(
        "running",
        time.time(),
        pid=pid,
        started=process_start_time(pid),
        activity="loading",
        began=0,
    )
    folder = workspace.studies.root / config.id
    try:
        make_private(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    with _only(folder):
        study = workspace.studies.open(config, status)
        reporter = Reporter(study, status)
        try:
            yield study, reporter
        except ProbeError as error:
            reporter.end("failed", str(error))
            raise
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | SystemExit)
            message = "interrupted: the same command goes on" if stopped else reason(error)
            with suppress(FileNotFoundError):  # the folder was removed
                reporter.end("cancelled" if stopped else "failed", message)
            if is_expected(error) and not stopped:
                raise WorkspaceError(message) from error
            raise
        reporter.end("finished")


def seen_state(study: StudyFolder) -> ObservedState:
    """How a study stands: what it last said, or interrupted where its process is gone."""
    return observe(study)[1]


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """A Parquet file, whole or not at all."""
    keep_file(path, frame.to_parquet(index=False))


def link(source: Path, place: Path) -> None:
    """Put a file in another place too, without a second copy where the file system can."""
    if place.exists() and place.samefile(source):
        return
    place.unlink(missing_ok=True)  # of a run that was damaged and trained again
    try:
        os.link(source, place)
    except OSError:
        keep_file(place, source.read_bytes())


def both(*watchers: Watch) -> Watch:
    """Tell several watchers."""

    def tell(progress: Progress) -> None:
        for watch in watchers:
            watch(progress)

    return tell


@contextmanager
def _only(folder: Path) -> Iterator[None]:
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # The threads of a process that was just killed may hold its files a moment longer.
        deadline = time.monotonic() + _LAST_BREATH_S
        while not locked(handle):
            if time.monotonic() > deadline:
                raise WorkspaceError(f"another process is at {folder.name}: wait for it, or end it")
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _counts(progress: Progress) -> dict[str, object]:
    counts: dict[str, object] = {
        "runs": progress.runs,
        "found": progress.found,
        "packs": progress.packs,
    }
    if progress.pack is not None:
        counts |= {"pack_step": progress.pack.step, "pack_steps": progress.pack.steps}
    return counts
