"""Training runs as files to take along: settings, scores and curves, and how they were made."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from probe.analysis.gains import best_sentence, gain_of, main_score, score_sentence
from probe.charts.curves import Series, curves
from probe.jobs import JobView, scored, view
from probe.reports.decoding import environment
from probe.reports.spreadsheets import csv_of
from probe.results import Result
from probe.store import JobConfig, Record, Workspace, read_records


@dataclass(frozen=True)
class RunRecord(Result):
    """A run as it stands, what it was asked, and what it noted."""

    view: JobView
    config: JobConfig
    records: Sequence[Record]

    @property
    def training(self) -> Mapping[str, Any]:
        """Every field of its `TrainConfig`."""
        settings: Mapping[str, Any] = self.config.request["training"]
        return settings

    @property
    def score(self) -> tuple[str, float, float | None] | None:
        """What the finished prompt scores: the metric, its value, and the model's alone."""
        found = main_score(self.view.metrics)
        return found and (*found, self.view.metrics.get(f"zero_shot_{found[0]}"))

    def to_row(self) -> dict[str, Any]:
        """Settings and scores in one row; every setting is a column."""
        one, score, gain = self.view, self.score, gain_of(self.view.metrics)
        low, high = (gain and gain.gain_interval) or (None, None)
        return {
            "run": one.run,
            "label": one.label,
            "state": one.state,
            "task": one.task,
            "model": one.model,
            "created": one.created,
            "step": one.step,
            "metric": score[0] if score else None,
            "score": score[1] if score else None,
            "zero_shot": score[2] if score else None,
            "gain_low": low,
            "gain_high": high,
            "split": one.metrics.get("split"),
            "examples": one.metrics.get("examples"),
            "loss_nats": one.loss_nats,
            "prompts": " ".join(one.prompts),
            "folds": self.config.request.get("folds"),
            **self.training,
        }

    def _document(self) -> dict[str, Any]:
        return {
            "run": self.view,
            "config": {
                **self.config.request,
                "name": self.config.name,
                "created": self.config.created,
                "command": self.config.command,
            },
            "records": self.records,
        }


def run_record(run: str, *, workspace: str | PathLike[str] | None = None) -> RunRecord:
    """A run with all it noted.

    Raises:
        WorkspaceError: there is no such run, or its folder is damaged.
    """
    workspace = Workspace(workspace)
    folder = workspace.runs.get(run)
    return RunRecord(view(workspace, folder), folder.config, read_records(folder.metrics)[0])


def differing_settings(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The settings in which runs differ, with their values run by run."""
    rows = [{"task": run.view.task, "model": run.view.model, **run.training} for run in runs]
    every = {name: [row.get(name) for row in rows] for row in rows[:1] for name in row}
    return {name: values for name, values in every.items() if len(set(map(str, values))) > 1}


def runs_csv(runs: Sequence[RunRecord]) -> str:
    """One row per run: state, scores with their sample size, and every setting."""
    import pandas as pd

    return csv_of(pd.DataFrame([run.to_row() for run in runs]))


def steps_csv(runs: Sequence[RunRecord]) -> str:
    """One row per run, step and prompt: what it noted, with its task, model and seed."""
    import pandas as pd

    rows = [
        {"run": run.view.run, "task": run.view.task, "model": run.view.model,
         "seed": run.training.get("seed")} | _flat(record)
        for run in runs
        for record in run.records
    ]  # fmt: skip
    return csv_of(pd.DataFrame(rows))


def runs_json(runs: Sequence[RunRecord]) -> str:
    """Runs, configurations and records as one document."""
    return json.dumps({"runs": [run.to_json() for run in runs]}, ensure_ascii=False, indent=1)


def runs_html(runs: Sequence[RunRecord]) -> str:
    """Settings, scores and loss curves as one HTML page that opens anywhere and runs nothing."""
    shown = [(run, _differing(run.training), _loss(run)) for run in runs]
    several = scored(run.view for run in runs) if len(runs) > 1 else ()
    return (
        environment()
        .get_template("runs.html")
        .render(
            runs=shown,
            best=best_sentence(several),
            score_sentence=score_sentence,
            polyline=_polyline,
            command_line=shlex.join,
        )
    )


def _flat(record: Record) -> dict[str, Any]:
    validation = record.get("validation") or {}
    plain = {key: value for key, value in record.items() if key != "validation"}
    return plain | {f"validation_{key}": value for key, value in validation.items()}


def _differing(training: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say something: those with a value."""
    return {
        key: value
        for key, value in training.items()
        if not (value is None or value is False or value == "")
    }


def _loss(run: RunRecord) -> Series | None:
    """The running mean of the loss; None before the second step that has one."""
    loss = curves("", run.records).loss_nats.thinned().smoothed()
    return loss if len(loss.steps) > 1 else None


def _polyline(loss: Series) -> str:
    """A loss as points of an SVG line, 100 wide and 30 high."""
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in _placed(loss))


def _placed(loss: Series) -> list[tuple[float, float]]:
    low, high = float(loss.values.min()), float(loss.values.max())
    span, last = (high - low) or 1.0, float(loss.steps[-1])
    return [
        (100 * step / last, 30 - 28 * (value - low) / span - 1)
        for step, value in zip(loss.steps.tolist(), loss.values.tolist(), strict=True)
    ]
