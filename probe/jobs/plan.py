"""What a job would do, and how long it would take: a few of its steps, measured, nothing kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from os import PathLike
from statistics import fmean

import torch

from probe.errors import TrainingError
from probe.jobs.studying import cache_of, study_of
from probe.jobs.training import prepare_training, request_of
from probe.models import Row
from probe.notes import collected
from probe.results import Result
from probe.store import JobConfig, Workspace
from probe.store.card import kept_name
from probe.studies.cache import ResultCache
from probe.studies.sources import load_frozen, model_of, task_of
from probe.studies.specs import KeyedRun, Pack, StudySettings, packs_of
from probe.task import Task
from probe.training import Training, train
from probe.training.checks import task_of as task_of_request

_STEPS = 3
_NEVER = 1_000_000


@dataclass(frozen=True)
class TrainPlan(Result):
    """A run that was not made."""

    model: str
    family: str
    parameters: int
    """Of the frozen model."""
    device: str
    dtype: str
    task: str
    kind: str
    label_words: tuple[str, ...]
    label_tokens: tuple[int, ...]
    """Tokens of the word that names each label; empty for generation tasks."""
    label_counts: tuple[int, ...]
    """Training examples of each label; empty for generation tasks."""
    template: str
    train_examples: int
    validation_examples: int
    test_examples: int
    cut_texts: int
    """Of those to train and to validate: their ends do not fit the model."""
    method: str
    prompts: int
    """Trained at once: the folds, else 1."""
    length: int
    """Virtual tokens."""
    trained_parameters: int
    """Of one prompt, its encoder among them."""
    init: str
    learning_rate: float
    batch_size: int
    steps: int
    epochs: float
    """Times that a training example is seen, on average."""
    step_s: float
    """Mean of the second and the third step; the first one warms up."""
    tokens_per_s: float
    estimate_s: float
    """All steps, without validations and scores."""
    estimate_range_s: tuple[float, float]
    """The same were every step as fast as the faster, or as slow as the slower, of those timed."""
    notes: tuple[str, ...]
    """What will not be done as it might seem: texts that are cut, and the like."""


@dataclass(frozen=True)
class StudyPlan(Result):
    """A study that was not made."""

    runs: int
    """Asked for, of which some may share one training."""
    trainings: int
    """Different ones."""
    found: int
    """Of these, how many had been trained before."""
    packs: int
    at_once: int
    updates: int
    """Of all prompts together, that are still to be made."""
    update_s: float | None
    """Of one prompt, in the second and third step of a pack, or its only one; None where nothing is
    to be trained."""
    estimate_s: float
    """All updates, in this process, without preparing examples and scoring prompts."""


def dry_run(
    config: JobConfig, *, at_once: int = 8, workspace: str | PathLike[str] | None = None
) -> TrainPlan | StudyPlan:
    """What a training or a study would do, and how long it would take: three steps, measured.

    Args:
        config: of any kind of job.
        at_once: prompts that a study trains at once.
        workspace: whose finished runs a study need not make again; the default one when None.

    Raises:
        ProbeError: the job could not be done as it is asked for.
    """
    if config.kind == "train":
        return _plan_training(config)
    if config.is_training:
        raise TrainingError(f"a {config.kind} job has no plan: start it, its first steps tell")
    kept = Workspace(workspace)
    study = study_of(config, kept)
    return plan_study(study.runs, study.settings, cache_of(kept), at_once=at_once)


def _plan_training(config: JobConfig) -> TrainPlan:
    with collected() as notes:
        kept_name(config.name)
        request = request_of(config)
        if request.config.eval_every:  # the same split, but no validation is timed
            request = replace(request, training={**request.training, "eval_every": _NEVER})
        task, asked = task_of_request(request), request.config
        model = load_frozen(str(request.model), device=request.device, dtype=request.dtype)
        training = prepare_training(model, task, request)
    run = training.runs[0]
    times, tokens_per_s = _time_steps(training)
    step_s = fmean(times)
    return TrainPlan(
        model=model.name,
        family=model.family,
        parameters=sum(value.numel() for value in model.model.parameters()),
        device=str(model.device),
        dtype=model.dtype_name,
        task=task.name,
        kind=task.kind,
        label_words=task.spelled_words,
        label_tokens=_label_tokens(task, run.data.train),
        label_counts=_label_counts(task, run.data.train),
        template=asked.template or task.template,
        train_examples=len(run.data.train),
        validation_examples=len(run.data.validation),
        test_examples=min(len(task.test), request.test_examples),
        cut_texts=sum(row.cut > 0 for row in (*run.data.train, *run.data.validation)),
        method=asked.method,
        prompts=len(training.runs),
        length=len(training.prompts[0]),
        trained_parameters=sum(p.numel() for p in run.module.parameters() if p.requires_grad),
        init=asked.init,
        learning_rate=run.peak,
        batch_size=asked.batch_size,
        steps=asked.steps,
        epochs=asked.steps * asked.batch_size / len(run.data.train),
        step_s=step_s,
        tokens_per_s=tokens_per_s,
        estimate_s=step_s * asked.steps,
        estimate_range_s=(min(times) * asked.steps, max(times) * asked.steps),
        notes=tuple(notes),
    )


def plan_study(
    runs: Sequence[KeyedRun], shared: StudySettings, cache: ResultCache, *, at_once: int
) -> StudyPlan:
    """Count what is to be done, make three steps of one pack, and keep nothing.

    Raises:
        ProbeError: the runs could not be done as they are asked for.
    """
    wanted = {run.key: run for run in runs}
    missing = [run for key, run in wanted.items() if cache.get(key) is None]
    packs = packs_of(missing, shared, at_once=at_once)
    updates = sum(pack.updates for pack in packs)
    # The one in the middle of an order by length.
    update_s = _update_s(packs[len(packs) // 2]) if packs else None
    return StudyPlan(
        runs=len(runs),
        trainings=len(wanted),
        found=len(wanted) - len(missing),
        packs=len(packs),
        at_once=at_once,
        updates=updates,
        update_s=update_s,
        estimate_s=updates * (update_s or 0.0),
    )


def _update_s(pack: Pack) -> float:
    model = model_of(pack.model, pack.shared.device, pack.shared.dtype)
    tasks = [task_of(run.spec, pack.shared) for run in pack.runs]
    training = train(model, tasks, [run.spec.config for run in pack.runs])
    return fmean(_time_steps(training)[0]) / len(pack.runs)


def _time_steps(training: Training) -> tuple[list[float], float]:
    """Seconds of each step of all prompts but the first, or of an only one; tokens per second."""
    ends, speed = [time.perf_counter()], 0.0
    for step in training:
        if step.step < len(ends):
            continue
        # The first record of a step: all prompts have made it.
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        speed = step.tokens_per_s
        if len(ends) > _STEPS:
            break
    times = [end - start for start, end in pairwise(ends)]
    return times[1:] or times, speed


def _label_tokens(task: Task, rows: Sequence[Row]) -> tuple[int, ...]:
    if task.kind == "generation":
        return ()
    return tuple(len(ids) for ids in rows[0].options[: len(task.label_words)])


def _label_counts(task: Task, rows: Sequence[Row]) -> tuple[int, ...]:
    if task.kind == "generation":
        return ()
    counts = Counter(row.label for row in rows)
    return tuple(counts[label] for label in range(len(task.label_words)))
