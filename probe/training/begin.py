"""From a model, tasks and configurations to a training that can be iterated over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from probe.atomic import make_private
from probe.errors import TrainingError
from probe.models import FrozenModel
from probe.requests.train_config import TrainConfig
from probe.task import Task
from probe.texts import counted
from probe.training.checkpoint import checkpoint_folders
from probe.training.checks import check_training
from probe.training.data import prepared
from probe.training.initialise import start_of
from probe.training.loop import Training
from probe.training.prompt_run import PromptRun


def train(
    model: FrozenModel,
    tasks: Task | Sequence[Task],
    configs: TrainConfig | Sequence[TrainConfig],
    *,
    run_folder: Path | None = None,
    resume: bool = False,
) -> Training:
    """Prepare K prompts for training; iterate over the result to train them.

    Args:
        model: the frozen model; nothing of it changes.
        tasks: one task per prompt, or one for all.
        configs: one configuration per prompt, or one for all.
        run_folder: where checkpoints go; None keeps none.
        resume: go on from the run folder's last checkpoint.

    Raises:
        TrainingError: the configurations do not fit the model, the tasks, each other or the
            checkpoint to resume from, or a new run would mix with an old one in its folder.
    """
    pairs = _paired(tasks, configs)
    if run_folder is not None and not resume and checkpoint_folders(run_folder):
        raise TrainingError(
            f"{run_folder} holds the checkpoints of a run: resume it, or choose another folder"
        )
    for task, config in pairs:
        check_training(task, config, writes=model.writes, positions=model.positions)
    runs = [
        PromptRun(model, task, config, start_of(model, task, config), data)
        for (task, config), data in zip(pairs, prepared(model, pairs), strict=True)
    ]
    training = Training(model, runs, run_folder)
    if run_folder is not None:
        make_private(run_folder)
    if resume:
        training.restore()
    return training


def _paired(
    tasks: Task | Sequence[Task], configs: TrainConfig | Sequence[TrainConfig]
) -> list[tuple[Task, TrainConfig]]:
    """Tasks and configurations, prompt by prompt."""
    each_task = [tasks] if isinstance(tasks, Task) else list(tasks)
    each_config = [configs] if isinstance(configs, TrainConfig) else list(configs)
    count = max(len(each_task), len(each_config))
    if count == 0 or not {len(each_task), len(each_config)} <= {1, count}:
        raise TrainingError(
            "expected one task and one configuration per prompt, or one for all, found "
            f"{counted(len(each_task), 'task')} and {len(each_config)} configurations"
        )
    if len(each_task) < count:
        each_task *= count
    if len(each_config) < count:
        each_config *= count
    return list(zip(each_task, each_config, strict=True))
