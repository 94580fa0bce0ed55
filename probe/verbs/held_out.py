"""Which training examples a prompt never saw: the share that was set aside when it was trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from probe.datasets.bare import is_data_file
from probe.errors import DataError
from probe.notes import note
from probe.requests import EvaluateRequest
from probe.requests.shared import Split
from probe.requests.sources import Place, TaskSource
from probe.task import LabelWords, Task
from probe.texts import counted
from probe.verbs.prompts import LoadedPrompt


def task_as_trained(
    source: str | Path, asked: EvaluateRequest, found: Sequence[LoadedPrompt]
) -> Task:
    """A task whose training and validation examples are parted as when the prompts were trained.

    Args:
        source: the task's name, file or folder.
        asked: whose data, columns, words and split are meant; test examples are the same for every
            share. Of a data file, label words are in the order of its sorted labels; where there
            are none, words and template are those of the prompts that were trained on it.
        found: prompts; those that were trained on the task tell their share.

    Raises:
        DataError: the task cannot be read, or the prompts set different examples aside.
    """
    from probe.datasets import load_task, task_name

    name, bare, split = task_name(source), is_data_file(source), asked.split
    trained = [loaded for loaded in found if loaded.one.task == name]
    load = partial(
        load_task,
        source,
        asked.data_dir,
        text_column=asked.text_column,
        label_column=asked.label_column,
        label_words=asked.label_word or _own_words(trained) if bare else (),
        template=asked.template or _own_template(trained) if bare else asked.template,
    )
    if split == "test" and bare:
        return _all_to_test(load(holdout=0.0), trained)
    return _parted(load, name, split, trained)


def as_trained(
    task: TaskSource, data_dir: Place | None, split: Split, found: Sequence[LoadedPrompt]
) -> Task:
    """The same in the task's own columns, template and label words.

    Args:
        task: its name, file or folder, or itself, whose examples are parted as they are.
        data_dir: a folder of data sets.
        split: whose examples are meant.
        found: prompts.

    Raises:
        DataError: the task cannot be read, or the prompts set different examples aside.
    """
    from probe.datasets import load_task, task_name

    if isinstance(task, Task):
        return task
    name = task_name(task)
    trained = [loaded for loaded in found if loaded.one.task == name]
    return _parted(partial(load_task, task, data_dir), name, split, trained)


def _parted(
    load: Callable[..., Task], name: str, split: Split, trained: Sequence[LoadedPrompt]
) -> Task:
    if split == "test":
        return load()
    _note_folds(trained)
    known = (share for share in map(share_set_aside, trained) if share is not None)
    if not (shares := list(dict.fromkeys(known))):
        return load()
    whole, *others = [load(holdout=share) for share in shares]
    if any(getattr(other, split) != getattr(whole, split) for other in others):
        raise DataError(
            f"the prompts set aside {', '.join(f'{share:g}' for share in shares)} of the training "
            f"examples of task {name}, so their {split} examples differ: evaluate those of one "
            "share at a time, or on the test split"
        )
    return whole


def _all_to_test(task: Task, trained: Sequence[LoadedPrompt]) -> Task:
    """Every row of a data file as a test example."""
    for loaded in trained:
        note(
            f"{loaded.name} was trained on a task of the name {task.name}: if on these rows, ask "
            "about those that were set aside, --split validation"
        )
    return replace(task, train=(), validation=(), test=[*task.train, *task.validation])


def _own_template(trained: Sequence[LoadedPrompt]) -> str | None:
    return next((loaded.own_words[0] for loaded in trained if loaded.own_words[0]), None)


def _own_words(trained: Sequence[LoadedPrompt]) -> LabelWords:
    return next((words for loaded in trained if (words := loaded.own_words[1])), ())


def share_set_aside(loaded: LoadedPrompt) -> float | None:
    """The share of the training examples that validated a prompt, where its file tells."""
    training = loaded.one.config.get("training")
    share = training.get("holdout") if isinstance(training, dict) else None
    return float(share) if isinstance(share, int | float) and 0 <= share < 1 else None


def _note_folds(trained: Sequence[LoadedPrompt]) -> None:
    for loaded in trained:
        folds = loaded.one.config.get("folds")
        if folds is not None:
            note(
                f"{loaded.name} was trained in a cross-validation of {counted(folds, 'fold')}: it "
                "has seen most of the training and validation examples of this task"
            )
