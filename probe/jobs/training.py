"""What a worker does when its turn has come: load, train, log, score, save."""

from __future__ import annotations

import errno
import json
import logging
import time
from dataclasses import asdict, replace
from io import FileIO
from pathlib import Path

from probe.atomic import naming
from probe.datasets import load_task
from probe.jobs.control import TRAINING
from probe.jobs.eta import Pace
from probe.jobs.outcome import keep, means, scored
from probe.jobs.reporter import Reporter
from probe.jobs.stopping import Stopped, StopRequest
from probe.models import FrozenModel, load_model
from probe.models.devices import fast_dtype, on_cpu
from probe.notes import collected
from probe.store import Record, RunConfig, RunFolder, Workspace, cut_records
from probe.tables.gguf_files import find_gguf
from probe.tables.named import place_of
from probe.task import Task
from probe.texts import as_json
from probe.training import Step, TrainConfig, Training, folds, train

_LOG = logging.getLogger(__name__)


def work(workspace: Workspace, run: RunFolder, reporter: Reporter, stop: StopRequest) -> None:
    """Train the prompts of a run from its last checkpoint on and keep them.

    Raises:
        Stopped: somebody asked for it; a checkpoint holds what was done.
        ProbeError: the run cannot be done as it was asked for.
    """
    config = run.config
    with collected() as notes:
        task = task_of(config)
        model = loaded(config.model, device=config.device, dtype=config.dtype)
        training = begun(model, task, config, run)
    reporter.note(notes)
    cut_records(run.metrics, training.step)
    reporter.doing(TRAINING)
    reporter.began(training.step)
    _train(training, run, reporter, stop)
    reporter.doing("scoring")
    with collected() as notes:
        prompts = scored(model, task, training, config)
    reporter.note(notes)
    kept = tuple(keep(workspace, prompt, run) for prompt in prompts)
    metrics = as_json(means([dict(prompt.metrics) for prompt in prompts]))
    reporter.end("finished", _ends(training), prompts=kept, metrics=metrics)


def task_of(config: RunConfig) -> Task:
    """The task of a run; where it has no validation split, holdout or folds make one."""
    training = TrainConfig.from_dict(config.training)
    return load_task(
        config.task,
        config.data_dir,
        holdout=training.holdout if config.folds is None else 0.0,
        text_column=config.text_column,
        label_column=config.label_column,
        label_words=config.label_words,
        template=training.template,
    )


def loaded(name: str, *, device: str | None, dtype: str | None) -> FrozenModel:
    """The model; where nothing is said of the precision, bf16 where the device multiplies it.

    On a CPU that goes for GGUF files alone, whose numbers were rounded to fewer bits before; other
    models run in float32 unless bf16 is asked for.
    """
    if dtype is None and (not on_cpu(device) or find_gguf(name, place_of(name)) is not None):
        dtype = fast_dtype(device)
    return load_model(name, device=device, dtype=dtype)


def begun(
    model: FrozenModel, task: Task, config: RunConfig, run: RunFolder | None = None
) -> Training:
    """The training of a run, at its last checkpoint; without a folder, one that leaves none."""
    asked = TrainConfig.from_dict(config.training)
    tasks = [task] if config.folds is None else folds(task, config.folds)
    if run is None:
        return train(model, tasks, asked)
    return train(model, tasks, asked, run_folder=run.path, resume=True)


def _train(training: Training, run: RunFolder, reporter: Reporter, stop: StopRequest) -> None:
    """Log every record, and save and leave between two steps if somebody asked for it."""
    pace = Pace(time.monotonic())
    living = sum(not one.stopped for one in training.runs)
    missing = living  # records of this step that are still to come, one per prompt
    stop.patient = True
    with run.metrics.open("ab", buffering=0) as log:
        for step in training:
            missing -= 1
            living -= step.stopped is not None
            if missing == 0:
                missing = living
                pace.step(time.monotonic())
                eta_s = pace.eta_s(run.config.steps - step.step)
                reporter.status = replace(reporter.status, eta_s=eta_s)
            record = _record(step, run.config, reporter.status.eta_s)
            _append(log, record)
            _report(step, record, reporter)
            if stop.asked and missing == living > 0:
                training.save()
                reporter.beat(replace(reporter.status, step=training.step))
                raise Stopped
    stop.patient = False


def _append(log: FileIO, record: Record) -> None:
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    with naming(Path(str(log.name))):
        if log.write(line) != len(line):
            raise OSError(errno.ENOSPC, "no space for the rest of a line")


def _record(step: Step, config: RunConfig, eta_s: float | None) -> Record:
    record: Record = as_json(step.to_json())
    number = record.pop("prompt")
    fold = None if config.folds is None else number + 1
    return record | {"fold": fold, "eta_s": eta_s, "time_s": time.time()}


def _report(step: Step, record: Record, reporter: Reporter) -> None:
    status = replace(
        reporter.status,
        step=step.step,
        loss_nats=record["loss_nats"],
        tokens_per_s=record["tokens_per_s"],
    )
    if step.validation is not None:
        status = replace(status, validation=as_json(asdict(step.validation)))
    if step.warning is not None:
        _LOG.warning("step %d: %s", step.step, step.warning)  # to log.txt
        status = replace(status, message=step.warning)
    reporter.beat(status)


def _ends(training: Training) -> str:
    """Why prompts stopped before their last step; empty where none did."""
    early = [run.stopped for run in training.runs if run.stopped not in (None, "finished")]
    return "; ".join(dict.fromkeys(map(str, early)))
