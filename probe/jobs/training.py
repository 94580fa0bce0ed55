"""What a worker does when its turn has come: load, train, log, score, save."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import asdict, replace
from statistics import mean

from probe.jobs.outcome import keep, means, scored
from probe.jobs.processes import Stopped, StopRequest
from probe.jobs.reporter import Reporter
from probe.jobs.trajectory import begin_trajectory, keep_trajectory
from probe.models import FrozenModel
from probe.notes import collected
from probe.requests import TrainRequest, from_document
from probe.store import (
    SCORING,
    TRAINING,
    JobConfig,
    JobFolder,
    Record,
    Workspace,
    append_record,
    cut_records,
)
from probe.studies.sources import load_frozen
from probe.task import Task
from probe.texts import as_json
from probe.training import Step, Training, folds, train
from probe.training.checks import task_of

_LOG = logging.getLogger(__name__)
_RECENT = 50
_LEAST = 3
"""Steps that are timed before anything is foretold; the one before them warms up."""
_OUTLIERS = 0.05
"""Share at each end that tells nothing: a validation, a checkpoint, a nap of the machine."""
_SMOOTHING = 0.1
"""How far what is foretold moves towards the newest estimate at each step."""


def run(
    workspace: Workspace,
    job: JobFolder,
    reporter: Reporter,
    stop: StopRequest,
    model: FrozenModel | None = None,
) -> None:
    """Train the prompts of a job from its last checkpoint on and keep them.

    Args:
        workspace: where the prompts are kept.
        job: what is asked.
        reporter: of this process.
        stop: whether somebody asks it to.
        model: open already; None: the one that the request names is loaded.

    Raises:
        Stopped: somebody asked for it; a checkpoint holds what was done.
        ProbeError: the training cannot be done as it was asked for.
    """
    request = request_of(job.config)
    with collected() as notes:
        task = task_of(request)
        if model is None:
            named = str(request.model)
            model = load_frozen(named, device=request.device, dtype=request.dtype)
        training = prepare_training(model, task, request, job)
    reporter.note(notes)
    reporter.doing(TRAINING)
    log_steps(training, job, reporter, stop)
    reporter.doing(SCORING)
    with collected() as notes:
        prompts = scored(model, task, training, request)
    reporter.note(notes)
    kept = tuple(keep(workspace, prompt, job) for prompt in prompts)
    metrics = as_json(means([dict(prompt.metrics) for prompt in prompts]))
    reporter.end("finished", _ends(training), prompts=kept, metrics=metrics)


def request_of(config: JobConfig) -> TrainRequest:
    """What a training was asked, its fields checked.

    Raises:
        DataError: it is none.
        TrainingError: a field is out of its range.
    """
    return from_document(TrainRequest, {**config.request, "name": config.name})


def prepare_training(
    model: FrozenModel, task: Task, request: TrainRequest, job: JobFolder | None = None
) -> Training:
    """The training of a job, at its last checkpoint; without a folder, one that leaves none."""
    tasks = [task] if request.folds is None else folds(task, request.folds)
    if job is None:
        return train(model, tasks, request.config)
    return train(model, tasks, request.config, run_folder=job.path, resume=True)


def log_steps(training: Training, job: JobFolder, reporter: Reporter, stop: StopRequest) -> None:
    """Train to the end and log every record; save and leave between two steps if asked to.

    Raises:
        Stopped: somebody asked for it; a checkpoint holds what was done.
    """
    cut_records(job.metrics, training.step)
    reporter.began(training.step, f"{training.model.device}, {training.model.dtype_name}")
    pace, steps = Pace(time.monotonic()), job.config.steps or 0
    folded = bool(job.config.request.get("folds"))
    missing = _living(training)  # records of this step that are still to come, one per prompt
    stop.patient = True
    begin_trajectory(job, training)
    with job.metrics.open("ab", buffering=0) as log:
        for step in training:
            missing -= 1
            if between := missing == 0:  # never within a step: those to come would be lost
                missing = _living(training)
                pace.step(time.monotonic())
                eta_s = pace.eta_s(steps - step.step)
                reporter.status = replace(reporter.status, eta_s=eta_s)
            record = _record(step, reporter.status.eta_s, folded=folded)
            append_record(log, record)
            keep_trajectory(job, training, step)
            _report(step, record, reporter)
            if between and missing and stop.asked:
                training.save()
                reporter.beat(replace(reporter.status, step=training.step))
                raise Stopped
    stop.patient = False


def _living(training: Training) -> int:
    """Prompts that are still trained."""
    return sum(not one.stopped for one in training.runs)


def _record(step: Step, eta_s: float | None, *, folded: bool) -> Record:
    record: Record = as_json(step.to_json())
    number = record.pop("prompt")
    fold = number + 1 if folded else None
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
