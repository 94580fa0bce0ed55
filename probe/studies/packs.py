"""The worker function: train a pack of prompts at once and score them, or read trained ones.

One process or a cluster, every sweep hands packs to this same function.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from probe.bootstrap import percentiles
from probe.evaluation import Answers, Bootstrap, Condition, answer, measured, zero_shot
from probe.evaluation.measuring import example_scores
from probe.formats.layouts import probe_file
from probe.models import FrozenModel, Objective
from probe.prompt import AnyPrompt
from probe.studies.cache import prompt_name
from probe.studies.distilled import KNOWN_TEXT, SHUFFLED, distilled_scores
from probe.studies.prompt_readings import ReadingPack, read_pack
from probe.studies.sources import model_of, task_of
from probe.studies.specs import KeyedRun, Pack
from probe.task import Example, Task
from probe.texts import as_json
from probe.training import Step, Training, train


@dataclass(frozen=True)
class PackStep:
    """How far a pack is."""

    step: int
    """Updates made; while it scores, answers given."""
    steps: int
    loss_nats: float | None
    scoring: bool = False


Report = Callable[[PackStep], None]
Scored = Callable[[int, int], None]
"""Told how many answers, or prompts, are scored, and of how many."""
AnyPack = Pack | ReadingPack


def work(
    pack: AnyPack, *, folder: Path | None = None, report: Report = lambda _: None
) -> list[bytes]:
    """Do what a pack asks: train prompts, or read trained ones.

    Args:
        pack: what to do.
        folder: where checkpoints go, and from where a training that was interrupted goes on.
        report: called after every step of a training, and after every batch of its scoring.

    Returns:
        A file for each run, in order.

    Raises:
        ProbeError: a run cannot be done as it was asked for.
    """
    if isinstance(pack, ReadingPack):
        return read_pack(pack)
    return _train(pack, folder, report)


def _train(pack: Pack, folder: Path | None, report: Report) -> list[bytes]:
    """Train and score the prompts of a pack.

    Returns:
        A safetensors file for each run, in order: the prompt with its scores as `metrics`.
    """
    began = time.perf_counter()
    shared = pack.shared
    model = model_of(pack.model, shared.device, shared.dtype)
    tasks = [task_of(run.spec, shared) for run in pack.runs]
    configs = [run.spec.config for run in pack.runs]
    training = train(model, tasks, configs, run_folder=folder, resume=folder is not None)
    last = _trained(training, report, pack.steps)
    prompts = training.prompts
    asked = [run.spec.distilling for run in pack.runs]

    def watch(scored: int, of: int) -> None:
        report(PackStep(scored, of, None, scoring=True))

    if all(asked):
        texts = [one.text for one in asked if one]
        scores = distilled_scores(model, tasks, prompts, texts, watch)
    else:
        objectives = [one.scored_objective for one in configs]
        scores = pack_scores(model, tasks, prompts, objectives, watch)
    took_s = (time.perf_counter() - began) / len(prompts)
    made = {
        "metric": tasks[0].metric,
        "task": tasks[0].name,
        "parameters": sum(value.numel() for value in model.model.parameters()),
        "run_s": took_s,
    }
    return [
        probe_file.to_bytes(_named(prompt, run, made | _facts(training, number, last) | found))
        for number, (prompt, run, found) in enumerate(zip(prompts, pack.runs, scores, strict=True))
    ]


def _trained(training: Training, report: Report, steps: int) -> dict[int, Step]:
    """The last record of every prompt; those of a pack that had finished are not made again."""
    last: dict[int, Step] = {}
    for step in training:
        last[step.prompt] = step
        report(PackStep(step.step, steps, step.loss_nats))
    return last


def _facts(training: Training, number: int, last: dict[int, Step]) -> dict[str, Any]:
    run = training.runs[number]
    loss = last[number].loss_nats if number in last else math.nan
    return {
        "trained_parameters": sum(p.numel() for p in run.module.parameters() if p.requires_grad),
        "steps": run.step,
        "stopped": run.stopped or "",
        "train_loss_nats": loss,
    }


def _named(prompt: AnyPrompt, run: KeyedRun, metrics: dict[str, Any]) -> AnyPrompt:
    """The prompt under a name of its own, with scores that JSON can hold."""
    asked = run.spec.distilling
    known = {} if asked is None else {KNOWN_TEXT: asked.text, SHUFFLED: asked.shuffled}
    return dataclasses.replace(
        prompt,
        name=prompt_name(prompt.task, run.key),
        metrics={**prompt.metrics, **as_json(metrics)},
        config={**prompt.config, "run_key": run.key, **known},
    )


def pack_scores(
    model: FrozenModel,
    tasks: Sequence[Task],
    prompts: Sequence[AnyPrompt],
    objectives: Sequence[Objective],
    watch: Scored = lambda *_: None,
) -> list[dict[str, Any]]:
    """Validation and test scores of each prompt; prompts of one task are asked in one batch.

    Where examples have labels, the split that prompts are judged by has two references beside
    them: the model without a prompt, in the same words, and the most frequent label.
    """
    found: list[dict[str, Any]] = [{} for _ in prompts]
    before, of = 0, sum(len(task.validation) + len(task.test) for task in tasks)
    watch(before, of)
    for task in {id(task): task for task in tasks}.values():
        mine = [number for number, own in enumerate(tasks) if own is task]
        conditions = [_condition(prompts[number], task, objectives[number]) for number in mine]
        for split, examples in (("validation", task.validation), ("test", task.test)):
            if not examples:
                continue
            judged = split == "test" or not task.test
            beside = judged and task.kind == "classification"
            count = len(mine) * len(examples)
            told = _answers(
                model, conditions, examples, partial(_watched, watch, before, count, of), beside
            )
            before += count
            for number, (own, alone) in zip(mine, told, strict=True):
                numbers = measured(own, examples, Bootstrap(len(examples), resamples=1))
                found[number] |= {f"{split}_{name}": one.value for name, one in numbers.items()}
                found[number][f"{split}_examples"] = len(examples)
                if alone is not None:
                    more = _beside(own, alone, examples)
                    found[number] |= {f"{split}_{name}": value for name, value in more.items()}
    return found


def _watched(watch: Scored, before: int, count: int, of: int, share: float) -> None:
    watch(before + round(share * count), of)


def _condition(prompt: AnyPrompt, task: Task, objective: Objective) -> Condition:
    template = str(prompt.config.get("template", task.template))
    return Condition(
        prompt.name, dataclasses.replace(task, template=template), prompt, objective=objective
    )


def _answers(
    model: FrozenModel,
    conditions: Sequence[Condition],
    examples: Sequence[Example],
    watch: Callable[[float], None],
    beside: bool,  # noqa: FBT001
) -> list[tuple[Answers, Answers | None]]:
    """Answers under every condition, with those of the model alone in the same words if wanted."""
    alone = {condition.wording: zero_shot(condition) for condition in conditions} if beside else {}
    told = answer(model, [*conditions, *alone.values()], examples, watch)
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
