"""Train prompts in processes of their own, and look after them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from probe import jobs
from probe.datasets import load_task, task_names
from probe.errors import DataError, TrainingError
from probe.jobs import RunView
from probe.notes import collected, note
from probe.prompt import AnyPrompt
from probe.store import RunConfig, Workspace
from probe.tables import ALWAYS_NAMED, ModelFacts, default_model
from probe.task import LabelWords, Task
from probe.texts import counted
from probe.training import TrainConfig
from probe.training.checks import check_patience, check_start, check_training
from probe.training.command_line import arguments, option_of, written
from probe.training.recommended import with_recommended
from probe.verbs.checks import check_label_words, check_models, check_width
from probe.verbs.loading import load_one
from probe.verbs.naming import option_names
from probe.verbs.room import check_room
from probe.verbs.shipped import sample_folders

TEST_EXAMPLES = 2000


def run_config(
    model: str | Path,
    task: str | Path,
    config: TrainConfig | Mapping[str, Any] | None = None,
    *,
    data_dir: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    label_words: LabelWords = (),
    name: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    folds: int | None = None,
    test_examples: int = TEST_EXAMPLES,
    command: Sequence[str] = (),
    workspace: Workspace | None = None,
) -> RunConfig:
    """A run that could be started, its configuration and data checked; writes nothing.

    Args:
        model: `builtin`, `minilm`, a folder or a hub id.
        task: a task's name, file or folder.
        config: how to train; what it leaves open, or all of it when None, is as recommended for
            the model, else at the defaults of `TrainConfig`.
        data_dir: a folder of data sets, by task.
        text_column: the column that is the text; the task's own, or `text`, when None.
        label_column: the column that is the label; the task's own, or `label`, when None.
        label_words: one per label, or a list of several, in place of the task's own; of a data
            file, in the order of its sorted labels.
        name: of the prompt; task and method when None.
        device: as torch names it; a GPU if there is one when None.
        dtype: `float32`, `bfloat16` or `float16`; when None, bfloat16 on GPUs that have it
            and, for GGUF files, on CPUs that have it, else float32.
        folds: parts of a cross-validation, which trains as many prompts at once.
        test_examples: at most so many score the finished prompt.
        command: the command line that asks for it, kept with the prompt.
        workspace: where prompts to start from are looked up; the default one when None.

    Raises:
        TrainingError: the configuration is not one.
        PromptFormatError: the prompt to start from cannot be read.
        DataError: the task cannot be read; the message names the line.
    """
    given = config.to_dict() if isinstance(config, TrainConfig) else dict(config or {})
    asked = TrainConfig.from_dict(with_recommended(str(model), given))
    with collected(said=False):  # the worker reads it too, and will say them
        loaded = load_task(
            task,
            data_dir,
            holdout=asked.holdout if folds is None else 0.0,
            text_column=text_column,
            label_column=label_column,
            label_words=label_words,
            template=asked.template,
        )
    if folds is not None and not 2 <= folds <= len(loaded.train):
        raise TrainingError(
            f"expected 2 to {counted(len(loaded.train), 'fold')} of "
            f"{counted(len(loaded.train), 'example')}, found {folds}"
        )
    workspace = workspace or Workspace()
    (facts,) = check_models([(str(model), None)], device=device, workspace=workspace)
    start = _start(asked.init, workspace)
    _check(loaded, asked, facts, start, test_examples)
    if asked.patience is not None and folds is None:
        check_patience(loaded, asked)
    init = start_with_full_path(asked.init, workspace)
    return RunConfig(
        model=full_path(str(model), known=ALWAYS_NAMED),
        task=full_path(str(task), known=task_names()),
        name=name or f"{loaded.name}-{asked.method}",
        training=asked.to_dict() | {"init": init},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        data_dir=None if data_dir is None else os.path.abspath(Path(data_dir).expanduser()),
        text_column=text_column,
        label_column=label_column,
        label_words=tuple(one if isinstance(one, str) else list(one) for one in label_words),
        device=device,
        dtype=dtype,
        folds=folds,
        test_examples=test_examples,
        command=tuple(command),
    )


def _check(
    task: Task, config: TrainConfig, model: ModelFacts, start: AnyPrompt | None, test_examples: int
) -> None:
    """Refuse before there is a run what its worker could only refuse after.

    Raises:
        ProbeError: the task, the model, the start and the configuration do not fit together.
    """
    check_training(task, config, writes=model.writes, positions=model.positions)
    check_label_words(task, config.objective, model)
    length = None
    if start is not None:
        check_start(start, config)
        check_width(start, model.name)
        length = len(start)
    check_room(task, config, model, start=length, test_examples=test_examples)


def _start(init: str, workspace: Workspace) -> AnyPrompt | None:
    """The prompt that training begins from, where it is one."""
    kind, _, reference = init.partition(":")
    return load_one(reference, workspace=workspace) if kind == "prompt" else None


def train_command(config: RunConfig) -> tuple[str, ...]:
    """The command line that asks for the same run."""
    pairs = {
        "--model": config.model,
        "--task": config.task,
        "--data-dir": config.data_dir,
        "--text-column": config.text_column,
        "--label-column": config.label_column,
        "--name": config.name,
        "--device": config.device,
        "--dtype": config.dtype,
        "--folds": config.folds,
        "--test-examples": None if config.test_examples == TEST_EXAMPLES else config.test_examples,
    }  # None: at its default
    given = [word for option, value in pairs.items() for word in written(option, value)]
    for words in config.label_words:
        given += written("--label-word", words if isinstance(words, str) else "|".join(words))
    training = TrainConfig.from_dict(config.training)
    return "probe", "train", *given, *arguments(training, config.model)


@option_names(label_word="label_words")
def train(
    model: str | Path | None = None,
    task: str | Path | None = None,
    config: TrainConfig | Mapping[str, Any] | None = None,
    *,
    data_dir: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    label_words: LabelWords = (),
    name: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    folds: int | None = None,
    test_examples: int = TEST_EXAMPLES,
    workspace: Workspace | None = None,
    **options: Any,
) -> RunView:
    """Train a prompt in a process of its own, wait for it, and keep it in the workspace.

    An interrupt saves a checkpoint; `resume_run` goes on from it. To iterate over the steps in this
    process, see `probe.training`.

    Args:
        model: `builtin`, `minilm`, `smollm2`, a folder, a GGUF file or a hub id; the model that the
            command takes where none is named when None.
        task: a task's name, file or folder.
        config: as in `run_config`.
        data_dir: a folder of data sets, by task.
        text_column: as in `run_config`.
        label_column: as in `run_config`.
        label_words: as in `run_config`.
        name: of the prompt; task and method when None.
        device: as torch names it; a GPU if there is one when None.
        dtype: as in `run_config`.
        folds: parts of a cross-validation, which trains as many prompts at once.
        test_examples: at most so many score the finished prompt.
        workspace: the default one when None.
        **options: further fields of `TrainConfig`, also as the command spells them: `lr=0.1`.

    Returns:
        The finished run; its `prompts` can be loaded by name.

    Raises:
        TrainingError: the run could not be started, or failed.
        DataError: the task cannot be read.
        WorkspaceError: the workspace cannot be written.
    """
    workspace = workspace or Workspace()
    if task is None:
        raise DataError("name the task, such as task='mood'")
    asked = run_config(
        model or default_model(),
        task,
        _with_options(config, options),
        data_dir=data_dir,
        text_column=text_column,
        label_column=label_column,
        label_words=label_words,
        name=name,
        device=device,
        dtype=dtype,
        folds=folds,
        test_examples=test_examples,
        workspace=workspace,
    )
    run = jobs.start(workspace, asked)
    try:
        for _ in jobs.follow(run):
            pass
    except KeyboardInterrupt:
        jobs.cancel(workspace, run.id)
        raise
    found = jobs.view(workspace, run)
    if found.state != "finished":
        raise TrainingError(f"{run.id} is {found.state} at step {found.step}: {found.message}")
    for line in found.notes:
        note(line)
    return found


def _with_options(
    config: TrainConfig | Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The fields of a configuration with those that were given by name."""
    fields = config.to_dict() if isinstance(config, TrainConfig) else dict(config or {})
    own = {option_of(field.name): field.name for field in dataclasses.fields(TrainConfig)}
    return fields | {own.get(name, name): value for name, value in options.items()}


def runs(workspace: Workspace | None = None) -> list[RunView]:
    """Every run of the workspace, the newest first."""
    return list(jobs.views(workspace or Workspace()))


def show_run(run: str, *, workspace: Workspace | None = None) -> RunView:
    """How one run stands.

    Args:
        run: its name, or the beginning of it.
        workspace: the default one when None.

    Raises:
        WorkspaceError: there is no such run.
    """
    workspace = workspace or Workspace()
    return jobs.view(workspace, workspace.runs.get(run))


def cancel_run(run: str, *, workspace: Workspace | None = None) -> RunView:
    """Let a run save and end.

    Raises:
        TrainingError: nobody works at it.
        WorkspaceError: there is no such run.
    """
    workspace = workspace or Workspace()
    return jobs.view(workspace, jobs.cancel(workspace, run))


def resume_run(
    run: str, *, steps: int | None = None, workspace: Workspace | None = None
) -> RunView:
    """Let another worker go on with a run; does not wait for it.

    Args:
        run: its name, or the beginning of it.
        steps: in all, more than it was asked for; a finished run goes on too.
        workspace: the default one when None.

    Raises:
        TrainingError: it has a worker, or is finished and not asked for more steps.
        WorkspaceError: there is no such run.
    """
    workspace = workspace or Workspace()
    return jobs.view(workspace, jobs.resume(workspace, run, steps=steps))


def rename_run(run: str, label: str, *, workspace: Workspace | None = None) -> RunView:
    """Give a run a label of your own; its name and its prompts keep theirs.

    Raises:
        WorkspaceError: there is no such run, or the label is too long.
    """
    workspace = workspace or Workspace()
    found = workspace.runs.get(run)
    found.name(label)
    return jobs.view(workspace, found)


def delete_run(run: str, *, workspace: Workspace | None = None) -> str:
    """Remove a run with its checkpoints, and return its name; the prompts it made stay.

    Raises:
        TrainingError: a worker is at it.
        WorkspaceError: there is no such run.
    """
    return jobs.delete(workspace or Workspace(), run).id


def full_path(source: str, *, known: Sequence[str]) -> str:
    """A path that holds wherever the worker stands; names and hub ids stay as they are."""
    path = Path(source).expanduser()
    return source if source in known or not path.exists() else os.path.abspath(path)


def start_with_full_path(init: str, workspace: Workspace) -> str:
    """`prompt:REF` with the path of what REF names; other starts stay as they are.

    Raises:
        PromptFormatError: there is no such prompt, or it cannot be read.
    """
    if _start(init, workspace) is None:
        return init
    return f"prompt:{_place(init.partition(':')[2], workspace)}"


def _place(reference: str, workspace: Workspace) -> str:
    """The path of a prompt, looked for in the order of `probe.load`; a hub id stays one."""
    if os.path.exists(reference) or os.path.exists(reference.rpartition("#")[0]):
        return os.path.abspath(reference)
    if reference.partition("@")[0] in workspace.prompts.names():
        return str(workspace.prompts.root / workspace.card(reference).id)
    return str(sample_folders().get(reference, reference))
