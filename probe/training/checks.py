"""What can be wrong with a training before its model is loaded; none of it needs torch."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from probe.datasets import load_task, sample, split_validation
from probe.errors import TrainingError
from probe.prompt import AnyPrompt, KVPrefix
from probe.requests.train_config import TrainConfig
from probe.requests.train_methods import METHODS, name_methods
from probe.requests.training import TrainRequest
from probe.task import Example, Task
from probe.template import read_template, require_room, slot_sizes
from probe.texts import counted, did_you_mean


def check_training(
    task: Task, config: TrainConfig, *, writes: bool = True, positions: int | None = None
) -> None:
    """Refuse what could only fail, or teach nothing.

    Args:
        task: with its training examples.
        config: how to train.
        writes: whether the model can continue texts.
        positions: most that the model can read; None where there is no limit.

    Raises:
        TrainingError: the task has no training examples or those of one label only, asks an
            encoder to write, or has no label words to start from or to be judged by; an encoder is
            to have a prefix; the template names a column that examples lack, or contradicts the
            length; a validation is waited for that is never made.
        RowError: the template takes two labels, or the prompt leaves no room for text.
    """
    require_evaluations(config)
    _check_objective(task, config)
    read_template(placed(task, config))
    check_examples(task)
    _check_columns(placed(task, config))
    if task.kind == "generation" and not writes:
        raise TrainingError(
            f"task {task.name} asks for texts, which an encoder cannot write: choose a causal or "
            "encoder–decoder model, or a classification task"
        )
    if METHODS[config.method].injects == "prefix" and not writes:
        raise TrainingError(
            "prefix tuning needs a causal or encoder–decoder model, found an encoder: choose "
            f"{name_methods('rows')}"
        )
    if config.init == "labels":
        require_label_words(task)
    length = asked_length(config)
    if length is not None and positions is not None:
        require_room(length, positions)


def require_evaluations(config: TrainConfig) -> None:
    """Refuse to wait for a better validation where none is ever made.

    Raises:
        TrainingError: there is a patience, and no validation.
    """
    if config.patience is not None and not config.eval_every:
        raise TrainingError(
            "patience counts validations, and with eval_every 0 there are none: set eval_every "
            "above 0, or leave patience out"
        )


def _check_objective(task: Task, config: TrainConfig) -> None:
    if config.objective == "label_words" and task.kind != "classification":
        raise TrainingError(
            f"task {task.name} asks for texts, and the objective label_words compares labels: "
            "choose full"
        )


def task_of(request: TrainRequest) -> Task:
    """The task of a training; where it has no validation split, holdout or folds make one.

    Raises:
        DataError: it cannot be read.
    """
    return load_task(
        str(request.task),
        request.data_dir,
        holdout=request.config.holdout if request.folds is None else 0.0,
        text_column=request.text_column,
        label_column=request.label_column,
        label_words=request.label_word,
        template=request.config.template,
    )


def require_label_words(task: Task) -> None:
    """Refuse a start at label words where the task has none.

    Raises:
        TrainingError: it has none.
    """
    if not task.label_words:
        raise TrainingError(f"task {task.name} has no label words to start from: choose vocab")


def check_start(prompt: AnyPrompt, config: TrainConfig) -> None:
    """Refuse a prompt to start from that the training has no place for.

    Raises:
        TrainingError: it is a prefix where rows are trained, or of another length.
    """
    if isinstance(prompt, KVPrefix) and METHODS[config.method].injects != "prefix":
        raise TrainingError(
            f"{prompt.name} is a prefix of keys and values, expected rows: choose "
            f"{name_methods('prefix')}"
        )
    require_one_length({"length": asked_length(config), f"prompt {prompt.name}": len(prompt)})


def check_patience(task: Task, config: TrainConfig) -> None:
    """Refuse to wait for a better validation where there is none.

    Raises:
        TrainingError: the task has no validation examples.
    """
    if config.patience is not None and not split_of(task, config)[1]:
        raise TrainingError(
            f"task {task.name} has no validation examples, which patience needs: set holdout "
            "above 0, or leave patience out"
        )


def split_of(task: Task, config: TrainConfig) -> tuple[Sequence[Example], Sequence[Example]]:
    """Training and validation examples; a task without validation sets `holdout` aside, 0 none."""
    if not config.eval_every:
        return task.train, ()
    if task.validation:
        return task.train, sample(task.validation, config.eval_examples)
    # Never by the run's seed: runs that are compared must be validated on the same examples.
    share = min(config.holdout, config.eval_examples / len(task.train))
    return split_validation(task.train, share=share)


def require_folds(by_label: Sequence[Sequence[str]], count: int) -> None:
    """Refuse more folds than there are texts to deal out.

    Args:
        by_label: the different texts of each label.
        count: folds.

    Raises:
        TrainingError: there are fewer texts, or fewer than two folds.
    """
    texts = sum(map(len, by_label))
    if not 2 <= count <= texts:
        raise TrainingError(
            f"expected 2 to {counted(texts, 'fold')} of {counted(texts, 'different text')}, found "
            f"{count}"
        )


def check_examples(task: Task) -> None:
    """Refuse training examples that teach nothing.

    Raises:
        TrainingError: there are none, or all have the same label.
    """
    if not task.train:
        raise TrainingError(f"task {task.name} has no training examples: give it some")
    labels = Counter(example.label for example in task.train)
    if task.kind == "classification" and len(labels) == 1:
        word = task.label_words[next(label for label in labels if label is not None)]
        raise TrainingError(
            f"task {task.name}: expected training examples of two labels or more, found "
            f"{len(task.train):,} that are all {word!r}: add examples of the others"
        )


def _check_columns(task: Task) -> None:
    known = task.train[0].values
    if missing := [name for name in task.columns if name not in known]:
        raise TrainingError(
            f"task {task.name}: the template names {{{missing[0]}}}, the data has the columns "
            f"{', '.join(known)}{did_you_mean(missing[0], known)}"
        )


def placed(task: Task, config: TrainConfig) -> Task:
    """The task with the configuration's template, which may hold slots for the prompt.

    Raises:
        TrainingError: the template names no column of the data.
    """
    if config.template is None:
        return task
    try:
        return dataclasses.replace(task, template=config.template)
    except ValueError as error:
        raise TrainingError(str(error)) from error


def require_one_length(asked: dict[str, int | None]) -> int | None:
    """The number of virtual tokens that every source names; None where none names one.

    Args:
        asked: by source, such as `length` or `template`.

    Raises:
        TrainingError: two of them differ.
    """
    given = {source: length for source, length in asked.items() if length is not None}
    if len(set(given.values())) > 1:
        found = ", ".join(f"{source} {length}" for source, length in given.items())
        raise TrainingError(f"expected one number of virtual tokens, found {found}")
    return next(iter(given.values()), None)


def asked_length(config: TrainConfig) -> int | None:
    """Virtual tokens that the configuration names or its template has slots for.

    Raises:
        TrainingError: they differ.
    """
    slots = None if config.template is None else sum(slot_sizes(config.template))
    return require_one_length({"length": config.length, "template": slots})
