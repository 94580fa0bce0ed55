"""Runs that distil a text: their tasks, and how much of the text's effect their prompts have."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from probe.distillation import distillation_tasks, explained, frame_of
from probe.models import FrozenModel
from probe.prompt import AnyPrompt
from probe.studies.specs import Distilling
from probe.task import Task

KNOWN_TEXT, SHUFFLED = "known_text", "shuffled_answers"
"""Keys of a prompt's `config`: the text its answers are of, whatever its teacher read, and whether
contexts had each other's answers."""


def answered_task(model: FrozenModel, asked: Distilling) -> Task:
    """Contexts with the answers of the model that reads the text, for prompts of one row."""
    (task,) = distillation_tasks(
        model,
        [asked.text],
        frame_of(model),
        length=1,
        contexts=asked.contexts,
        answer_tokens=asked.answer_tokens,
        seed=asked.seed,
    )
    return task


def placed(model: FrozenModel, task: Task, asked: Distilling, length: int) -> Task:
    """The task of prompts of P rows, with each context's own answer or with another's."""
    task = dataclasses.replace(task, template=frame_of(model).with_rows(length))
    if not asked.shuffled:
        return task
    # Round one circle of all contexts, so that none has its own answer.
    order = np.random.default_rng(asked.seed).permutation(len(task.train))
    others = list(task.train)
    for mine, next_one in zip(order, np.roll(order, -1), strict=True):
        others[mine] = dataclasses.replace(others[mine], target=task.train[next_one].target)
    return dataclasses.replace(task, train=others)


def distilled_scores(
    model: FrozenModel,
    tasks: Sequence[Task],
    prompts: Sequence[AnyPrompt],
    texts: Sequence[str],
    watch: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """The share of its text's effect that each prompt has on contexts that were held out.

    Args:
        model: that the prompts were distilled on.
        tasks: of each prompt.
        prompts: to score.
        texts: what each stands for.
        watch: told before each prompt how many are scored, and of how many.
    """
    found: list[dict[str, Any]] = []
    for task, prompt, text in zip(tasks, prompts, texts, strict=True):
        watch(len(found), len(prompts))
        scores = explained(model, task, text, prompt).scores
        found.append({**scores, "contexts": len(task.test)})
    return found
