"""Train prompts in processes of their own, and look after them."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from probe import jobs
from probe.datasets import task_names, texts_by_label
from probe.errors import DataError, TrainingError
from probe.jobs import JobView
from probe.live import LiveModel
from probe.notes import collected, note
from probe.paths import at_home
from probe.prompt import AnyPrompt
from probe.requests import TrainRequest, command_of, from_document, takes, to_document
from probe.requests.training import stated, with_recommended
from probe.results import Rows
from probe.store import JobConfig, JobKind, Library, Workspace
from probe.tables import ALWAYS_NAMED, ModelFacts, default_model
from probe.task import Task
from probe.training import TrainConfig
from probe.training.checks import (
    check_patience,
    check_start,
    check_training,
    placed,
    require_folds,
    task_of,
)
from probe.verbs.checks import (
    check_label_words,
    check_models,
    check_width,
    named_model,
    require_readers,
)
from probe.verbs.room import check_room


@takes(TrainRequest)
def run_config(request: TrainRequest) -> JobConfig:
    """A training that could be started, its configuration and data checked; writes nothing.

    Raises:
        TrainingError: the configuration is not one.
        PromptFormatError: the prompt to start from cannot be read.
        DataError: the task cannot be read; the message names the line.
    """
    if request.task is None:
        raise DataError("name the task, such as task='mood'")
    workspace, named = Workspace(request.workspace), named_model(request.model) or default_model()
    model = str(named)
    asked = TrainConfig.from_dict(with_recommended(model, request.training))
    task = _read_task(dataclasses.replace(request, training=asked.to_dict()))
    known = check_models([(named, None)], device=request.device, workspace=workspace)
    (facts,) = require_readers(known)
    start = _start(asked.init, workspace)
    _check(task, asked, facts, start, request.test_examples)
    if asked.patience is not None and request.folds is None:
        check_patience(task, asked)
    settled = dataclasses.replace(
        request,
        model=full_path(model, known=ALWAYS_NAMED),
        task=full_path(str(request.task), known=task_names()),
        training=asked.to_dict() | {"init": start_with_full_path(asked.init, workspace)},
        data_dir=None if request.data_dir is None else place(request.data_dir),
        name=request.name or f"{task.name}-{asked.method}",
    )
    return new_config("train", str(settled.name), to_document(settled))


def _read_task(request: TrainRequest) -> Task:
    """The task with its examples."""
    with collected(said=False):  # the worker reads it too, and will say them
        task = task_of(request)
    if request.folds is not None:
        require_folds(texts_by_label(task.train), request.folds)
    return task


def _check(
    task: Task, config: TrainConfig, model: ModelFacts, start: AnyPrompt | None, test_examples: int
) -> None:
    """Refuse before there is a run what its worker could only refuse after."""
    check_training(task, config, writes=model.writes, positions=model.positions)
    check_label_words(placed(task, config), config.objective, model)
    length = None
    if start is not None:
        check_start(start, config)
        check_width(start, model.source)
        length = len(start)
    check_room(task, config, model, start=length, test_examples=test_examples)


def _start(init: str, workspace: Workspace) -> AnyPrompt | None:
    """The prompt that training begins from, where it is one."""
    kind, _, reference = init.partition(":")
    return Library(workspace).load_one(reference) if kind == "prompt" else None


def train_command(config: JobConfig) -> tuple[str, ...]:
    """The command line that asks for the same training; what is at its default is left out."""
    request = from_document(TrainRequest, {**config.request, "name": config.name})
    told = stated(request.config, str(request.model))
    return command_of(dataclasses.replace(request, training=told), "train")


@takes(TrainRequest)
def train(request: TrainRequest) -> JobView:
    """Train a prompt in a process of its own, wait for it, and keep it in the workspace.

    An interrupt saves a checkpoint; `resume_run` goes on from it. To iterate over the steps in this
    process, see `probe.training`. On a model in memory it is trained in this process, and an
    interrupt ends it for good.

    Returns:
        The finished run; its `prompts` can be loaded by name.

    Raises:
        TrainingError: the run could not be started, or failed.
        DataError: the task cannot be read.
        WorkspaceError: the workspace cannot be written.
    """
    workspace = Workspace(request.workspace)
    if isinstance(request.model, LiveModel):
        return _finished(_trained_here(request, request.model, workspace))
    run = jobs.start(workspace, run_config(request))
    try:
        for _ in jobs.follow(run):
            pass
    except KeyboardInterrupt:
        jobs.cancel(workspace, run.id)
        raise
    return _finished(jobs.view(workspace, run))


def _trained_here(request: TrainRequest, model: LiveModel, workspace: Workspace) -> JobView:
    """A run by this process, which alone has the model."""
    from probe.jobs.training import run as work
    from probe.jobs.worker import at_work
    from probe.studies.sources import load_frozen

    config = run_config(request)
    frozen = load_frozen(model, device=request.device, dtype=request.dtype)
    with at_work(workspace, config) as (job, reporter, stop):
        work(workspace, job, reporter, stop, frozen)
    return jobs.view(workspace, job)


def _finished(found: JobView) -> JobView:
    """A run that has ended, what was noted said."""
    if found.state != "finished":
        raise TrainingError(f"{found.run} is {found.state} at step {found.step}: {found.message}")
    for line in found.notes:
        note(line)
    return found


def runs(workspace: str | PathLike[str] | None = None) -> Rows[JobView]:
    """Every run and study of the workspace, the newest first; `kind` says which it is."""
    return Rows(jobs.views(Workspace(workspace)), "jobs.runs")


def show_run(run: str, *, workspace: str | PathLike[str] | None = None) -> JobView:
    """How one run stands.

    Args:
        run: its name, or the beginning of it.
        workspace: its folder, or itself; the default one when None.

    Raises:
        WorkspaceError: there is no such run.
    """
    workspace = Workspace(workspace)
    return jobs.view(workspace, workspace.jobs.get(run))


def cancel_run(run: str, *, workspace: str | PathLike[str] | None = None) -> JobView:
    """Let a run save and end.

    Raises:
        TrainingError: nobody works at it.
        WorkspaceError: there is no such run.
    """
    workspace = Workspace(workspace)
    return jobs.view(workspace, jobs.cancel(workspace, run))


def resume_run(
    run: str, *, steps: int | None = None, workspace: str | PathLike[str] | None = None
) -> JobView:
    """Let another worker go on with a run; does not wait for it.

    Args:
        run: its name, or the beginning of it.
        steps: in all, more than it was asked for; a finished run goes on too.
        workspace: its folder, or itself; the default one when None.

    Raises:
        TrainingError: it has a worker, or is finished and not asked for more steps.
        WorkspaceError: there is no such run.
    """
    workspace = Workspace(workspace)
    return jobs.view(workspace, jobs.resume(workspace, run, steps=steps))


def rename_run(run: str, label: str, *, workspace: str | PathLike[str] | None = None) -> JobView:
    """Give a run a label of your own; its name and its prompts keep theirs.

    Raises:
        WorkspaceError: there is no such run, or the label is too long.
    """
    workspace = Workspace(workspace)
    found = workspace.jobs.get(run)
    found.name(label)
    return jobs.view(workspace, found)


def delete_run(
    run: str, *, for_good: bool = True, workspace: str | PathLike[str] | None = None
) -> str:
    """Remove a run with its checkpoints, and return its name; the prompts it made stay.

    Args:
        run: its name, or the beginning of it.
        for_good: False: `restore_run` brings it back within a week, unless the disk is nearly full.
        workspace: the default one when None.

    Raises:
        TrainingError: a worker is at it.
        WorkspaceError: there is no such run.
    """
    return jobs.delete(Workspace(workspace), run, for_good=for_good).id


def restore_run(run: str, *, workspace: str | PathLike[str] | None = None) -> JobView:
    """Bring back a run that was deleted, though not for good.

    Raises:
        WorkspaceError: the trash has no such run, or one of its name is there again.
    """
    workspace = Workspace(workspace)
    return jobs.view(workspace, workspace.jobs.recover(run))


def new_config(kind: JobKind, name: str, request: Mapping[str, Any]) -> JobConfig:
    """What a job is asked from now on."""
    return JobConfig(kind, name, request, datetime.now(UTC).isoformat(timespec="seconds"))


def place(path: str | Path) -> str:
    """The full path of a folder, wherever the worker stands."""
    return os.path.abspath(at_home(path))


def full_path(source: str, *, known: Sequence[str]) -> str:
    """A path that holds wherever the worker stands; names and hub ids stay as they are."""
    path = at_home(source)
    return source if source in known or not path.exists() else os.path.abspath(path)


def settle_starts(
    inits: Iterable[str], models: Iterable[str], workspace: Workspace
) -> tuple[str, ...]:
    """Where the runs of a study start, prompts by their paths; what fits no model is refused.

    Raises:
        PromptFormatError: there is no such prompt, or it cannot be read.
        ModelNotFoundError: its rows are of another width than a model reads.
    """
    inits = tuple(inits)
    starts = [_start(init, workspace) for init in inits]
    for start, model in itertools.product(starts, models):
        if start is not None:
            check_width(start, model)
    return tuple(start_with_full_path(init, workspace) for init in inits)


def start_with_full_path(init: str, workspace: Workspace) -> str:
    """`prompt:REF` with the path of what REF names; other starts stay as they are.

    Raises:
        PromptFormatError: there is no such prompt, or it cannot be read.
    """
    if _start(init, workspace) is None:
        return init
    return f"prompt:{Library(workspace).place(init.partition(':')[2])}"
