"""Scores of a pack's prompts, and of the model without them on the same examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from probe.bootstrap import percentiles
from probe.evaluation import Answers, Bootstrap, Condition, answer, measured, zero_shot
from probe.evaluation.measuring import example_scores
from probe.models import FrozenModel, Objective
from probe.prompt import AnyPrompt
from probe.task import Example, Task


def pack_scores(
    model: FrozenModel,
    tasks: Sequence[Task],
    prompts: Sequence[AnyPrompt],
    objectives: Sequence[Objective],
) -> list[dict[str, Any]]:
    """Validation and test scores of each prompt; prompts of one task are asked in one batch.

    Where examples have labels, the split that prompts are judged by has two references beside
    them: the model without a prompt, in the same words, and the most frequent label.
    """
    found: list[dict[str, Any]] = [{} for _ in prompts]
    for task in {id(task): task for task in tasks}.values():
        mine = [number for number, own in enumerate(tasks) if own is task]
        conditions = [_condition(prompts[number], task, objectives[number]) for number in mine]
        for split, examples in (("validation", task.validation), ("test", task.test)):
            if not examples:
                continue
            judged = split == "test" or not task.test
            told = _answers(
                model, conditions, examples, beside=judged and task.kind == "classification"
            )
            for number, (own, alone) in zip(mine, told, strict=True):
                numbers = measured(own, examples, Bootstrap(len(examples), resamples=1))
                found[number] |= {f"{split}_{name}": one.value for name, one in numbers.items()}
                found[number][f"{split}_examples"] = len(examples)
                if alone is not None:
                    beside = _beside(own, alone, examples)
                    found[number] |= {f"{split}_{name}": value for name, value in beside.items()}
    return found


def _condition(prompt: AnyPrompt, task: Task, objective: Objective) -> Condition:
    template = str(prompt.config.get("template", task.template))
    return Condition(
        prompt.name, dataclasses.replace(task, template=template), prompt, objective=objective
    )


def _answers(
    model: FrozenModel,
    conditions: Sequence[Condition],
    examples: Sequence[Example],
    *,
    beside: bool,
) -> list[tuple[Answers, Answers | None]]:
    """Answers under every condition, with those of the model alone in the same words if wanted."""
    alone = {condition.wording: zero_shot(condition) for condition in conditions} if beside else {}
    told = answer(model, [*conditions, *alone.values()], examples)
    references = dict(zip(alone, told[len(conditions) :], strict=True))
    return [
        (own, references.get(condition.wording))
        for condition, own in zip(conditions, told[: len(conditions)], strict=True)
    ]


def _beside(own: Answers, alone: Answers, examples: Sequence[Example]) -> dict[str, Any]:
    """Accuracies of both references; 95 % intervals of the accuracy and of what it gains."""
    right, without = (np.array(example_scores(one, examples, "accuracy")) for one in (own, alone))
    resampled = Bootstrap(len(examples)).means(np.stack([right, right - without], axis=1))
    _, counts = np.unique([example.label for example in examples], return_counts=True)
    return {
        "zero_shot_accuracy": float(without.mean()),
        "majority_accuracy": float(counts.max() / len(examples)),
        "accuracy_interval": list(percentiles(resampled[:, 0])),
        "accuracy_gain_interval": list(percentiles(resampled[:, 1])),
    }
