"""What runs have noted, read once by the whole server however many pages look."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboard.shared.resources import workspace
from probe.errors import WorkspaceError
from probe.jobs import JobView
from probe.store import JobFolder, Record, read_records
from probe.verbs.run_exports import RunRecord

_TAIL_BYTES = 8192


@dataclass(frozen=True)
class _Stretch:
    """What one worker noted; one that goes on from a checkpoint cuts off what came after it."""

    file: str
    pid: int | None
    began: int | None


class _Reader:
    """The records of one worker's stretch of a run, and how far they have been read."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._records: list[Record] = []
        self._lock = threading.Lock()

    def read(self) -> list[Record]:
        with self._lock:
            new, self._offset = read_records(self._path, self._offset)
            self._records.extend(new)
            return list(self._records)


def records_of(run: JobFolder) -> list[Record]:
    """Every record of a run, those of earlier workers among them.

    Raises:
        WorkspaceError: the run's folder is damaged or gone.
    """
    status = run.status
    return _reader(_Stretch(str(run.metrics), status.pid, status.began)).read()


def record_of(run: JobView) -> RunRecord:
    """A run with its configuration and records.

    Raises:
        WorkspaceError: its folder is damaged or gone.
    """
    folder = workspace().runs.get(run.run)
    return RunRecord(run, folder.config, records_of(folder))


def records(runs: Sequence[JobView]) -> list[RunRecord]:
    """The runs with what they noted; one that has just been deleted is left out."""
    found = []
    for run in runs:
        try:
            found.append(record_of(run))
        except WorkspaceError:
            continue
    return found


def log_tail(run: JobFolder, lines: int = 20) -> str:
    """The last lines of a run's log."""
    try:
        with run.log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


@st.cache_resource(max_entries=256, show_spinner=False)
def _reader(stretch: _Stretch) -> _Reader:
    return _Reader(Path(stretch.file))
