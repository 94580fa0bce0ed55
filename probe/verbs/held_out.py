"""Which training examples a prompt never saw: the share that was set aside when it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from probe.errors import DataError
from probe.notes import note
from probe.task import Task
from probe.verbs.asking import Asker


def task_as_trained(
    source: str | Path, data_dir: str | Path | None, split: str, found: Sequence[Asker]
) -> Task:
    """A task whose training and validation examples are parted as when the prompts were trained.

    Args:
        source: the task's name, file or folder.
        data_dir: a folder of data sets, by task.
        split: whose examples are wanted; test examples are the same for every share.
        found: prompts; those that were trained on the task tell their share.

    Raises:
        DataError: the task cannot be read, or the prompts set different examples aside.
    """
    from probe.datasets import load_task, load_wording

    name = load_wording(source).name
    trained = [asker for asker in found if asker.one.task == name]
    if split != "test":
        _note_folds(trained)
    shares = list(dict.fromkeys(share for share in map(_share, trained) if share is not None))
    if split == "test" or not shares:
        return load_task(source, data_dir)
    whole, *others = [load_task(source, data_dir, holdout=share) for share in shares]
    if any(getattr(other, split) != getattr(whole, split) for other in others):
        raise DataError(
            f"the prompts set aside {', '.join(f'{share:g}' for share in shares)} of the training "
            f"examples of task {name}, so their {split} examples differ: evaluate those of one "
            "share at a time, or on the test split"
        )
    return whole


def _share(asker: Asker) -> float | None:
    training = asker.one.config.get("training")
    share = training.get("holdout") if isinstance(training, dict) else None
    return float(share) if isinstance(share, int | float) and 0 <= share < 1 else None


def _note_folds(trained: Sequence[Asker]) -> None:
    for asker in trained:
        folds = asker.one.config.get("folds")
        if folds is not None:
            note(
                f"{asker.name} was trained in a cross-validation of {folds} folds: it has seen "
                "most of the training and validation examples of this task"
            )
