"""What is done when the turn of a distillation has come: sample, train, log, measure, save."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.distillation import (
    Explained,
    Frame,
    default_contexts,
    distillation_config,
    distillation_tasks,
    frame_of,
    read_contexts,
)
from probe.distillation.explained import row_divergences, share_explained, taught_rows
from probe.errors import TrainingError
from probe.jobs.outcome import keep
from probe.jobs.processes import StopRequest
from probe.jobs.reporter import Reporter
from probe.jobs.training import log_steps
from probe.live import LiveModel
from probe.models import FrozenModel
from probe.models.loading import fast_dtype
from probe.notes import collected
from probe.paths import at_home
from probe.prompt import AnyPrompt
from probe.requests import DistillRequest, TrainConfig, from_document
from probe.requests.sources import Contexts
from probe.store import SCORING, TRAINING, JobConfig, JobFolder, Workspace
from probe.studies.sources import load_frozen
from probe.task import Task
from probe.texts import as_json
from probe.training import Training, train
from probe.training.initialise import text_ids

CONTEXTS = 32
"""Of the shipped questions; the last quarter is held out."""
ANSWER_TOKENS = 24
SAMPLING = "sampling"


@dataclass(frozen=True)
class Distillation:
    """A distillation that is set up."""

    model: FrozenModel
    frame: Frame
    task: Task
    """Questions with the answers that the model gave when it read the text."""
    training: Training
    opened_s: float
    """When the model had been opened, on the clock of `time.perf_counter`."""


@dataclass(frozen=True)
class Measured:
    """A distilled prompt, and how much of the text's effect it has on held-out questions."""

    prompt: AnyPrompt
    explained: Explained
    truncated_text: str
    """As much of the text as fits into as many tokens as the prompt has rows."""
    truncated: Explained
    """What that has of the text's effect in the prompt's place."""


def run(workspace: Workspace, job: JobFolder, reporter: Reporter, stop: StopRequest) -> None:
    """Distil the text of a job from its last checkpoint on, and keep the prompt.

    Raises:
        Stopped: somebody asked for it; a checkpoint holds what was done.
        ProbeError: the text cannot be distilled as it was asked for.
    """
    request, config = request_of(job.config), TrainConfig.from_dict(job.config.request["training"])
    with collected() as notes:
        model = open_model(request)
        reporter.doing(SAMPLING)
        begun = begin(model, request, config, run_folder=job.path)
    reporter.note(notes)
    reporter.doing(TRAINING)
    log_steps(begun.training, job, reporter, stop)
    reporter.doing(SCORING)
    found = measure(begun, request, config)
    kept = keep(workspace, found.prompt, job)
    reporter.end("finished", prompts=(kept,), metrics=as_json(dict(found.prompt.metrics)))


def request_of(config: JobConfig) -> DistillRequest:
    """What a distillation was asked, its fields checked.

    Raises:
        DataError: it is none.
    """
    asked = {key: value for key, value in config.request.items() if key != "training"}
    return from_document(DistillRequest, {**asked, "name": config.name})


def config_of(request: DistillRequest) -> TrainConfig:
    """How a distillation trains.

    Raises:
        TrainingError: a field is out of its range.
    """
    return distillation_config(request.text, request.length, steps=request.steps, seed=request.seed)


def open_model(request: DistillRequest) -> FrozenModel:
    """The frozen model, teacher and student in one.

    Raises:
        ModelNotFoundError: it cannot be loaded.
    """
    if isinstance(request.model, LiveModel):  # in its own precision
        return load_frozen(request.model, device=request.device, dtype=request.dtype)
    dtype = request.dtype or fast_dtype(request.device)
    return load_frozen(str(request.model), device=request.device, dtype=dtype)


def begin(
    model: FrozenModel,
    request: DistillRequest,
    config: TrainConfig,
    *,
    run_folder: Path | None = None,
) -> Distillation:
    """The training of a distillation, at the last checkpoint of its folder where it has one.

    Answers are drawn by the request's seed: a distillation that goes on draws the same again.

    Raises:
        TrainingError: text, frame, contexts and model do not fit together.
        DataError: the file of contexts cannot be read.
    """
    opened_s = time.perf_counter()
    frame = frame_of(model, request.frame)
    (task,) = distillation_tasks(
        model,
        [request.text],
        frame,
        length=request.length,
        contexts=contexts_of(request.contexts),
        answer_tokens=ANSWER_TOKENS,
        seed=request.seed,
    )
    training = train(model, task, config, run_folder=run_folder, resume=run_folder is not None)
    return Distillation(model, frame, task, training, opened_s)


def contexts_of(contexts: Contexts | None) -> list[str]:
    """The questions that a text acts on.

    Raises:
        DataError: the file of contexts cannot be read.
    """
    if contexts is None:
        return default_contexts()[:CONTEXTS]
    if isinstance(contexts, str | Path):
        return read_contexts(at_home(contexts))
    return list(contexts)


def measure(begun: Distillation, request: DistillRequest, config: TrainConfig) -> Measured:
    """The trained prompt under its name, with how much of the text's effect it has.

    Raises:
        TrainingError: it diverged.
    """
    if begun.training.runs[0].diverged:
        raise TrainingError(f"{begun.training.runs[0].stopped}: try another seed or text")
    (prompt,), text, model = begun.training.prompts, request.text, begun.model
    rows = taught_rows(model, begun.task, text, begun.task.test)
    without = row_divergences(model, rows, None)
    ids = text_ids(model, text)
    cut = text if len(ids) <= len(prompt) else model.tokenizer.decode(ids[: len(prompt)])
    own, beside = (
        share_explained(row_divergences(model, rows, given), without, seed=config.seed)
        for given in (prompt, cut)
    )
    metrics = {**prompt.metrics, **_metrics(own), "truncated_share_explained": beside.share}
    named = dataclasses.replace(prompt, name=str(request.name), metrics=metrics)
    return Measured(named, own, cut, beside)


def _metrics(found: Explained) -> Mapping[str, Any]:
    return {
        "metric": "share_explained",
        "split": "held-out",
        "examples": found.contexts,
        **found.scores,
    }
