"""The loop: K prompts through one frozen model, one update of each per turn, one record of each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from probe.atomic import make_private
from probe.errors import TrainingError
from probe.models import FrozenModel, Row
from probe.prompt import AnyPrompt
from probe.requests.train_config import TrainConfig
from probe.requests.train_methods import METHODS, name_methods
from probe.results import Result
from probe.task import Task
from probe.texts import counted
from probe.training.checkpoint import (
    Checkpoint,
    checkpoint_folders,
    read_checkpoint,
    write_checkpoint,
)
from probe.training.checks import check_training
from probe.training.data import prepared
from probe.training.export import exported
from probe.training.initialise import Start, start_of
from probe.training.methods.base import injection_of_made
from probe.training.prompt_run import PromptRun
from probe.training.validation import Validation


@dataclass(frozen=True)
class Step(Result):
    """What one update of one prompt did."""

    prompt: int
    """Which of the K prompts, from 0."""
    step: int
    """Number of the update, from 1."""
    loss_nats: float
    """Mean loss of the batch, before the update and without the target's term."""
    distance: float
    """Mean squared distance to the target's embeddings, 0 without a target."""
    gradient_norm: float
    """Before clipping."""
    norm: float
    """Mean length of the injected rows before the update; of a prefix, of each head's keys and
    values."""
    lr: float
    tokens_per_s: float
    """Text tokens of all prompts together."""
    moved: float | None = None
    """After the update: share of positions whose nearest token, by cosine, is another than at the
    start. Looked for about 50 times in a run; a prefix has no nearest tokens."""
    validation: Validation | None = None
    warning: str | None = None
    stopped: str | None = None
    """Why this was the prompt's last step: finished, early: …, or diverged: …"""


class Training:
    """K prompts in training: iterate over it for the records, then take `prompts`.

    Between two records everything is in order: leave the loop when you like, `save`, and iterate
    again to go on.
    """

    def __init__(
        self, model: FrozenModel, runs: Sequence[PromptRun], run_folder: Path | None
    ) -> None:
        self.model, self.runs, self.run_folder = model, list(runs), run_folder
        self.step = 0
        _require_one_kind(self.runs)

    @cached_property
    def weights(self) -> str:
        """Fingerprint of the frozen model, taken once: hashing a large model takes its time."""
        return self.model.fingerprint

    def __iter__(self) -> Iterator[Step]:
        """Train until every prompt has stopped."""
        while active := [number for number, run in enumerate(self.runs) if not run.stopped]:
            yield from self._turn(active)
            every = min(self.runs[number].config.checkpoint_every for number in active)
            if self.step % every == 0 and all([run.mark_good() for run in self.runs]):
                self.save()
        self.save()

    @property
    def prompts(self) -> list[AnyPrompt]:
        """What each run has made so far, at its best validation."""
        return [exported(self.model, run, self.weights) for run in self.runs]

    def save(self) -> Path | None:
        """Write a checkpoint now; None without a run folder."""
        if self.run_folder is None:
            return None
        states = [run.state() for run in self.runs]
        checkpoint = Checkpoint(self.step, self.weights, states)
        return write_checkpoint(self.run_folder, checkpoint)

    def restore(self) -> None:
        """Go on from the last checkpoint of the run folder, or from the start without one.

        A configuration of more steps than before goes further, also where the run had finished;
        prompts that had stopped before the others stay as they are.

        Raises:
            TrainingError: there is no folder, or it belongs to another model, data or
                configuration.
        """
        if self.run_folder is None:
            raise TrainingError("resuming needs the run folder that holds the checkpoints")
        checkpoint = read_checkpoint(self.run_folder)
        if checkpoint is None:
            return
        _require_same(self.runs, self.weights, checkpoint)
        for run, (tensors, document) in zip(self.runs, checkpoint.prompts, strict=True):
            run.restore(tensors, document, checkpoint.step)
        self.step = checkpoint.step

    def _turn(self, active: Sequence[int]) -> list[Step]:
        """One update of every active prompt."""
        began = time.perf_counter()
        runs = [self.runs[number] for number in active]
        batches = [run.next_rows() for run in runs]
        outcomes = _gradients(self.model, runs, batches)
        rates = [_update(run, outcome) for run, outcome in zip(runs, outcomes, strict=True)]
        self.step += 1
        seconds = time.perf_counter() - began
        speed = sum(len(row) for batch in batches for row in batch) / seconds
        return [
            self._record(number, outcome, rate, speed)
            for number, outcome, rate in zip(active, outcomes, rates, strict=True)
        ]

    def _record(self, number: int, outcome: Outcome, rate: float, speed: float) -> Step:
        run = self.runs[number]
        found = run.validate(self.model) if run.validation_due and not run.diverged else None
        return Step(
            prompt=number,
            step=self.step,
            loss_nats=outcome.loss_nats,
            distance=outcome.distance,
            gradient_norm=outcome.gradient_norm,
            norm=outcome.norm,
            lr=rate,
            tokens_per_s=speed,
            moved=run.token_change_rate(),
            validation=found,
            warning=run.warning() if found else None,
            stopped=run.stopped,
        )


class Outcome(NamedTuple):
    """What one pass found for one prompt."""

    loss_nats: float
    distance: float
    gradient_norm: float
    norm: float


def train(
    model: FrozenModel,
    tasks: Task | Sequence[Task],
    configs: TrainConfig | Sequence[TrainConfig],
    *,
    run_folder: Path | None = None,
    resume: bool = False,
    starts: Sequence[Start] | None = None,
) -> Training:
    """Prepare K prompts for training; iterate over the result to train them.

    Args:
        model: the frozen model; nothing of it changes.
        tasks: one task per prompt, or one for all.
        configs: one configuration per prompt, or one for all.
        run_folder: where checkpoints go; None keeps none.
        resume: go on from the run folder's last checkpoint.
        starts: where each prompt starts; where its configuration says when None.

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
    begun = starts or [start_of(model, task, config) for task, config in pairs]
    runs = [
        PromptRun(model, task, config, start, data)
        for (task, config), start, data in zip(pairs, begun, prepared(model, pairs), strict=True)
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


def _gradients(
    model: FrozenModel, runs: Sequence[PromptRun], batches: Sequence[Sequence[Row]]
) -> list[Outcome]:
    """One batch of every prompt, forward and backward, in one pass of the frozen model.

    Rows do not see each other, so the gradients of the sum are those of K separate passes.
    """
    rows = [row for batch in batches for row in batch]
    sizes = torch.tensor([len(batch) for batch in batches])
    which = torch.arange(len(runs)).repeat_interleave(sizes)
    made = [run.make() for run in runs]
    injection = injection_of_made([run.drop(one) for run, one in zip(runs, made, strict=True)])
    losses = _means(model.losses(injection, rows, which), which, sizes)
    distances = torch.stack([run.distance(one) for run, one in zip(runs, made, strict=True)])
    gammas = torch.tensor([run.config.gamma for run in runs], device=losses.device)
    (losses + gammas * distances).sum().backward()  # type: ignore[no-untyped-call]
    gradients = torch.stack([run.clip() for run in runs])
    norms = torch.stack([one.detach().norm(dim=-1).mean().to(losses.device) for one in made])
    found = torch.stack([losses.detach(), distances.detach(), gradients, norms])
    return [Outcome(*numbers) for numbers in found.T.tolist()]  # the one wait for the device


def _means(by_row: Tensor, which: Tensor, sizes: Tensor) -> Tensor:
    """Mean over each prompt's rows, [K]."""
    sums = by_row.new_zeros(len(sizes)).index_add(0, which.to(by_row.device), by_row)
    return sums / sizes.to(by_row.device)


def _update(run: PromptRun, outcome: Outcome) -> float:
    """Update one prompt and return the rate, or stop it where a number is not finite."""
    for name, number in (("loss", outcome.loss_nats), ("gradient", outcome.gradient_norm)):
        if not math.isfinite(number):
            run.diverge(f"the {name} was {number}")
            return 0.0
    return run.advance()


def _require_one_kind(runs: Sequence[PromptRun]) -> None:
    if len({METHODS[run.config.method].injects for run in runs}) != 1:
        raise TrainingError(
            "prompts trained at once share a pass of the model, where prefixes do not mix with "
            f"rows: train {name_methods('prefix')} in a call of its own"
        )


def _require_same(runs: Sequence[PromptRun], weights: str, checkpoint: Checkpoint) -> None:
    if checkpoint.model != weights:
        raise TrainingError(
            "the run was made on a model with other weights: resume it on that model"
        )
    if len(checkpoint.prompts) != len(runs):
        raise TrainingError(
            f"the run trains {counted(len(checkpoint.prompts), 'prompt')}, found {len(runs)} "
            "configurations"
        )
    for run, (_, document) in zip(runs, checkpoint.prompts, strict=True):
        now = run.config.to_dict()
        for key, then in document["config"].items():
            if now.get(key) != then and not (key == "steps" and now[key] > then):
                raise TrainingError(
                    f"the run was made with {key} {then!r}, found {now.get(key)!r}: resume it "
                    "unchanged, or start another"
                )
        if document["data"] != run.data.fingerprint:
            raise TrainingError(
                f"the run was made on other examples than those of task {run.task.name}"
            )
