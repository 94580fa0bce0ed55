"""What a run would do, and how long it would take: two of its steps, measured."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from probe.jobs.training import prepare_training, request_of, task_of
from probe.models import Row
from probe.notes import collected
from probe.results import Result
from probe.store import JobConfig
from probe.store.card import kept_name
from probe.studies.sources import load_frozen
from probe.task import Task
from probe.training import Training

_STEPS = 2


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
    """The second of two steps; the first one warms up."""
    tokens_per_s: float
    estimate_s: float
    """All steps, without validations and scores."""
    notes: tuple[str, ...]
    """What will not be done as it might seem: texts that are cut, and the like."""


def dry_run(config: JobConfig) -> TrainPlan:
    """Load everything, make two steps, and keep nothing.

    Raises:
        ProbeError: the run could not be done as it is asked for.
    """
    with collected() as notes:
        kept_name(config.name)
        request = request_of(config)
        task, asked = task_of(request), request.config
        model = load_frozen(str(request.model), device=request.device, dtype=request.dtype)
        training = prepare_training(model, task, request)
    run = training.runs[0]
    step_s, tokens_per_s = _timed(training)
    return TrainPlan(
        model=model.name,
        family=model.family,
        parameters=sum(value.numel() for value in model.model.parameters()),
        device=str(model.device),
        dtype=str(model.model.dtype).removeprefix("torch."),
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
        notes=tuple(notes),
    )


def _label_tokens(task: Task, rows: Sequence[Row]) -> tuple[int, ...]:
    if task.kind == "generation":
        return ()
    return tuple(len(ids) for ids in rows[0].options[: len(task.label_words)])


def _label_counts(task: Task, rows: Sequence[Row]) -> tuple[int, ...]:
    if task.kind == "generation":
        return ()
    counts = Counter(row.label for row in rows)
    return tuple(counts[label] for label in range(len(task.label_words)))


def _timed(training: Training) -> tuple[float, float]:
    """Seconds of the second step of all prompts, and its tokens per second."""
    ends, speed = [time.perf_counter()], 0.0
    count = len(training.runs)
    for number, step in enumerate(islice(training, _STEPS * count), start=1):
        if number % count == 0:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            ends.append(time.perf_counter())
            speed = step.tokens_per_s
    return ends[-1] - ends[-2], speed
