"""The worker function: train a pack of prompts at once, score them, and return their files.

One process or a cluster, every sweep hands packs to this same function.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.formats.layouts import probe_file
from probe.prompt import AnyPrompt
from probe.studies.cache import prompt_name
from probe.studies.scores import pack_scores
from probe.studies.sources import model_of, task_of
from probe.studies.specs import KeyedRun, Pack
from probe.texts import as_json
from probe.training import Step, Training, train


@dataclass(frozen=True)
class PackStep:
    """How far a pack is."""

    step: int
    steps: int
    loss_nats: float


Report = Callable[[PackStep], None]


def work(pack: Pack, *, folder: Path | None = None, report: Report = lambda _: None) -> list[bytes]:
    """Train and score the prompts of a pack.

    Args:
        pack: what to train.
        folder: where checkpoints go, and from where a pack that was interrupted goes on.
        report: called after every step.

    Returns:
        A safetensors file for each run, in order: the prompt with its scores as `metrics`.

    Raises:
        ProbeError: a run cannot be done as it was asked for.
    """
    began = time.perf_counter()
    shared = pack.shared
    model = model_of(pack.model, shared.device, shared.dtype)
    tasks = [task_of(run.spec, shared) for run in pack.runs]
    configs = [run.spec.config for run in pack.runs]
    training = train(model, tasks, configs, run_folder=folder, resume=folder is not None)
    last = _trained(training, report, pack.steps)
    prompts = training.prompts
    scores = pack_scores(model, tasks, prompts, [config.objective for config in configs])
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
    return dataclasses.replace(
        prompt,
        name=prompt_name(prompt.task, run.key),
        metrics={**prompt.metrics, **as_json(metrics)},
        config={**prompt.config, "run_key": run.key},
    )
