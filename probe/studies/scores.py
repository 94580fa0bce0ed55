"""Scores of a pack's prompts, and of the model without them on the same examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from probe.evaluation import Answers, Bootstrap, Way, answer, measured, zero_shot
from probe.evaluation.measuring import example_scores
from probe.evaluation.resampling import percentiles
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
        ways = [_way(prompts[number], task, objectives[number]) for number in mine]
        for split, examples in (("validation", task.validation), ("test", task.test)):
            if not examples:
                continue
            judged = split == "test" or not task.test
            told = _answers(model, ways, examples, beside=judged and task.kind == "classification")
            for number, (own, alone) in zip(mine, told, strict=True):
                numbers = measured(own, examples, Bootstrap(len(examples), resamples=1))
                found[number] |= {f"{split}_{name}": one.value for name, one in numbers.items()}
                found[number][f"{split}_examples"] = len(examples)
                if alone is not None:
                    beside = _beside(own, alone, examples)
                    found[number] |= {f"{split}_{name}": value for name, value in beside.items()}
    return found


def _way(prompt: AnyPrompt, task: Task, objective: Objective) -> Way:
    template = str(prompt.config.get("template", task.template))
    return Way(
        prompt.name, dataclasses.replace(task, template=template), prompt, objective=objective
    )


def _answers(
    model: FrozenModel, ways: Sequence[Way], examples: Sequence[Example], *, beside: bool
) -> list[tuple[Answers, Answers | None]]:
    """The answers of every way, each with those of the model alone in the same words if wanted."""
    alone = {way.wording: zero_shot(way) for way in ways} if beside else {}
    told = answer(model, [*ways, *alone.values()], examples)
    references = dict(zip(alone, told[len(ways) :], strict=True))
    return [
        (own, references.get(way.wording)) for way, own in zip(ways, told[: len(ways)], strict=True)
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
