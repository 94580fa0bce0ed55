"""What a finished run leaves in the workspace: prompts that know their scores and their origin."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from probe.datasets import sample
from probe.errors import ProbeError, TrainingError
from probe.evaluation import Condition, Evaluation, answer, compare, zero_shot
from probe.live import IN_MEMORY
from probe.models import FrozenModel
from probe.prompt import AnyPrompt
from probe.requests import TrainRequest
from probe.store import JobFolder, Workspace
from probe.store.card import workspace_name
from probe.tables import load_vocabulary
from probe.task import Example, Task
from probe.training import TrainConfig, Training


def scored(
    model: FrozenModel, task: Task, training: Training, request: TrainRequest
) -> list[AnyPrompt]:
    """The prompts of a training with their names, and their scores beside the model's alone.

    Raises:
        TrainingError: there is nothing to keep, since no prompt came through its first steps.
    """
    if all(run.diverged and run.good_step == 0 and run.best is None for run in training.runs):
        raise TrainingError(f"{training.runs[0].stopped}: try a lower learning rate")
    prompts = [
        _named(prompt, task, request, number)
        for number, prompt in enumerate(training.prompts, start=1)
    ]
    asked, limit = request.config, request.test_examples
    for split, examples in (("test", task.test), ("validation", task.validation)):
        if examples:
            return _beside_the_model(
                model, task, prompts, asked, split=split, examples=sample(examples, limit)
            )
    # Folds of a task that has nothing but training examples: each validates on its own.
    return [
        _beside_the_model(
            model, task, [prompt], asked, split="validation",
            examples=sample(run.task.validation, limit),
        )[0]
        for prompt, run in zip(prompts, training.runs, strict=True)
    ]  # fmt: skip


def keep(workspace: Workspace, prompt: AnyPrompt, job: JobFolder) -> str:
    """Save a prompt with its origin, once: a run that was killed after saving saves no second one.

    Returns:
        Its name in the workspace, `name@version`.
    """
    request = job.config.request
    for id_, stored in workspace.prompts.loaded(workspace_name(prompt.name)):
        if stored.config.get("run") == job.id and _steps(stored) == _steps(prompt):
            return id_
    origin = {
        "run": job.id,
        "command": list(job.config.command),
        "seed": request["training"]["seed"],
        "data_dir": request.get("data_dir"),
        "folds": request.get("folds"),
        "table_sha256": None if prompt.submodule else _table_sha256(prompt, request["model"]),
    }
    made = dataclasses.replace(prompt, config={**prompt.config, **origin})
    return workspace.save(made).id


def _table_sha256(prompt: AnyPrompt, model: str) -> str | None:
    """Which table a prompt stands on: one name may come to mean another, and a copy has another."""
    if model.endswith(IN_MEMORY):  # what lies at its place may be other weights by now
        return None
    try:
        return load_vocabulary(str(prompt.base_model)).fingerprint
    except ProbeError:  # the model ran, and a prompt is never lost for its table
        return None


def _steps(prompt: AnyPrompt) -> object:
    """The steps a prompt was trained for: a run that goes further makes another version."""
    training = prompt.config.get("training")
    return training.get("steps") if isinstance(training, dict) else None


def means(metrics: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The metrics of one prompt; of several, the means of their numbers, and each as `folds`."""
    if len(metrics) == 1:
        return metrics[0]
    first = metrics[0]
    shared = [key for key in first if all(key in one for one in metrics)]
    words = {key: first[key] for key in shared if isinstance(first[key], str)}
    averages = {
        key: sum(one[key] for one in metrics) / len(metrics)
        for key in shared
        if isinstance(first[key], int | float)
    }
    return {**words, **averages, "folds": list(metrics)}


def _beside_the_model(
    model: FrozenModel,
    task: Task,
    prompts: list[AnyPrompt],
    asked: TrainConfig,
    *,
    split: str,
    examples: Sequence[Example],
) -> list[AnyPrompt]:
    """The prompts with their scores on examples and those of the model alone; as is without any."""
    if not examples:
        return prompts
    placed = dataclasses.replace(task, template=asked.template or task.template)
    objective = asked.scored_objective
    conditions = [Condition(one.name, placed, one, objective=objective) for one in prompts]
    answers = answer(model, [*conditions, zero_shot(conditions[0])], examples)
    (*own, alone), _ = compare(answers, examples, model=model.name, metric=task.metric)
    counted = {"metric": task.metric, "split": split, "examples": len(examples)}
    return [
        dataclasses.replace(
            prompt, metrics={**prompt.metrics, **counted, **_metrics(one, alone, task.metric)}
        )
        for prompt, one in zip(prompts, own, strict=True)
    ]


def _named(prompt: AnyPrompt, task: Task, request: TrainRequest, number: int) -> AnyPrompt:
    name = str(request.name) if request.folds is None else f"{request.name}-fold{number}"
    return dataclasses.replace(prompt, name=name, task=task.name)


def _metrics(one: Evaluation, alone: Evaluation, metric: str) -> dict[str, Any]:
    assert one.against_zero_shot is not None  # the model alone was asked in the same words
    return {
        **{name: measure.value for name, measure in one.measures.items()},
        **{f"zero_shot_{name}": measure.value for name, measure in alone.measures.items()},
        f"{metric}_interval": list(one.measures[metric].ends),
        f"{metric}_gain_interval": list(one.against_zero_shot[metric].ends),
    }
