"""What runs have logged, read as it grows, and the table of runs with it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared.jobs import short, shown_name
from dashboard.shared.resources import workspace
from probe.charts import curves
from probe.errors import WorkspaceError
from probe.jobs import JobView
from probe.requests.train_methods import method_words
from probe.store import JobFolder, Record, read_records
from probe.texts import init_words
from probe.verbs.run_exports import RunRecord

_TAIL_BYTES = 8192


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
    if status.pid is None:  # in the queue, as it may be again and again
        return read_records(run.metrics)[0]
    return _reader(str(run.metrics), status.pid, status.started, status.began).read()


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
def _reader(file: str, *stretch: object) -> _Reader:  # noqa: ARG001
    """Of what one worker notes; who goes on from a checkpoint cuts off what came after it."""
    return _Reader(Path(file))


_MOST_SPARKS = 50
"""Curves of more runs would keep the page waiting."""
_SPARK_POINTS = 40


def runs_table(runs: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run, in the order given."""
    sparks = len(runs) <= _MOST_SPARKS
    return pd.DataFrame([_row(run, spark=sparks) for run in runs])


COLUMNS: dict[str, Any] = {
    "run": st.column_config.TextColumn(width=260),
    "state": st.column_config.TextColumn(width=75),
    "task": st.column_config.TextColumn(width=70),
    "model": st.column_config.TextColumn(width=80),
    "progress": st.column_config.ProgressColumn(
        "steps", min_value=0, max_value=100, format="%d %%", width=90
    ),
    "score": st.column_config.NumberColumn(
        format="%.3f", width=65, help="The task's metric on test examples, once it is finished"
    ),
    "zero_shot": st.column_config.NumberColumn(
        "zero-shot", format="%.3f", width=78, help="The same model and template without the prompt"
    ),
    "loss": st.column_config.NumberColumn(
        "loss, nats", format="%.3f", width=80, help="Of the last batch"
    ),
    "spark": st.column_config.LineChartColumn("loss over the steps", width=120),
    "method": st.column_config.TextColumn(width=110),
    "length": st.column_config.NumberColumn("P", width=45, help="Positions; empty: the default"),
    "start": st.column_config.TextColumn(width=110),
    "rate": st.column_config.NumberColumn(
        "rate", format="%.3g", width=50, help="Empty: the default of the method"
    ),
    "seed": st.column_config.NumberColumn(width=50),
    "created": st.column_config.DatetimeColumn("created (UTC)", format="YYYY-MM-DD HH:mm",
                                               width=130),
}  # fmt: skip


def _row(run: RunRecord, *, spark: bool) -> dict[str, Any]:
    one, training, score = run.view, run.training, run.score
    return {
        "run": shown_name(one),
        "state": one.state,
        "task": short(one.task),
        "model": short(one.model),
        "progress": 100 * one.step / one.steps,
        "score": score[1] if score else None,
        "zero_shot": score[2] if score else None,
        "loss": one.loss_nats,
        "spark": _spark(run) if spark else None,
        "method": method_words(one.method),
        "length": training.get("length"),
        "start": init_words(str(training.get("init", ""))),
        "rate": training.get("learning_rate"),
        "seed": training.get("seed"),
        "created": pd.Timestamp(one.created).tz_localize(None),
    }


def _spark(run: RunRecord) -> list[float]:
    loss = curves("", run.records).loss_nats.thinned(_SPARK_POINTS)
    return [float(value) for value in loss.values]
