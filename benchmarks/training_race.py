"""Time to one validation loss: each side at its own best precision and learning rate."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from training_limits import allowed
from training_rivals import (
    AfterStep,
    PlainLoop,
    collated,
    encoded,
    peft_model,
    prompt_rows,
    raw_copy,
    run_trainer,
)
from transformers import AutoModel, AutoModelForCausalLM

from probe.models import FrozenModel, Injection, Row, load_model
from probe.tables import named_path
from probe.task import Task
from probe.training import TrainConfig, train
from probe.training.prompt_run import PromptRun
from probe.training.validation import validate

_TIMED_STEPS = 5


@dataclass(frozen=True)
class Clock:
    """Seconds of the wall, or of the processor, which other processes do not lengthen."""

    kind: str

    def now(self) -> float:
        """Seconds since some moment, everything asked of a GPU done."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.process_time() if self.kind == "cpu" else time.perf_counter()

    def of(self, action: Callable[[], Any]) -> float:
        """Seconds an action takes."""
        start = self.now()
        action()
        return self.now() - start


@dataclass
class Progress:
    """The clock of one run; it stands still during validation."""

    clock: Clock
    goal: float
    """Validation loss in nats to reach."""
    every: int
    limit_steps: int
    limit_s: float
    judge: Callable[[], float]
    seconds: float = 0.0
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    _began: float | None = None

    def begin(self) -> None:
        """A step begins; only the first one starts the clock."""
        if self._began is None:
            self._began = self.clock.now()

    def end(self) -> bool:
        """A step ended; False when the run is over. What comes before the next one counts too."""
        self.seconds += self.clock.now() - (self._began or 0.0)
        self.steps += 1
        if self.steps % self.every == 0:
            self.losses.append(self.judge())
        self._began = self.clock.now()
        return not (self.reached or self.steps >= self.limit_steps or self.seconds > self.limit_s)

    @property
    def reached(self) -> bool:
        """Whether the goal was reached."""
        return bool(self.losses) and self.losses[-1] <= self.goal

    @property
    def cost(self) -> float:
        """Seconds to the goal, infinite where it was not reached."""
        return self.seconds if self.reached else math.inf


@dataclass(frozen=True)
class Settings:
    """What a side may choose."""

    rate: float
    bf16: bool


class Race:
    """One model and task, two sides."""

    def __init__(self, name: str, task: Task, args: Any, clock: Clock) -> None:
        self.args, self.clock, self.task = args, clock, task
        self.goal = args.goal[name]
        self.halves = [False, True] if args.bf16 else [False]
        self.models = {
            half: load_model(name, dtype="bfloat16" if half else None) for half in self.halves
        }
        self.raw = _untouched(name, self.models[False])
        self.config = TrainConfig(
            length=20, batch_size=args.batch, schedule="constant", steps=args.limit_steps
        )
        training = train(self.models[False], task, self.config)
        self.peak = training.runs[0].peak
        data = training.runs[0].data
        self.rows, self.validation = data.train, data.validation

    def probe(self, settings: Settings, seed: int, limit_s: float) -> Progress:
        """Our trainer: rows gathered by length, the prompt shared where it can be."""
        config = dataclasses.replace(
            self.config, seed=seed, learning_rate=settings.rate, eval_every=0
        )
        training = train(self.models[settings.bf16], self.task, config)
        run = training.runs[0]
        progress = self._progress(lambda: self._judge(run.injection()), limit_s)
        steps = iter(training)
        going = True
        while going:
            progress.begin()
            next(steps)
            going = progress.end()
        return progress

    def peft(self, settings: Settings, seed: int, limit_s: float) -> Progress:
        """PEFT under `transformers.Trainer`, from the same start through the same batches."""
        run = self._run(seed)
        batches = [run.next_rows() for _ in range(self.args.limit_steps)]
        module = self._peft_module(run)
        progress = self._progress(lambda: self._judge_peft(module), limit_s)
        run_trainer(
            module.train(),
            [encoded(row, self.models[False].family) for batch in batches for row in batch],
            rate=settings.rate,
            steps=self.args.limit_steps,
            order="sequential",
            seed=seed,
            bf16=settings.bf16,
            batch_size=self.args.batch,
            watch=AfterStep(progress.begin, progress.end),
        )
        return progress

    def step_seconds(self) -> dict[tuple[str, bool], float]:
        """Mean seconds per step of each side at each precision, the same batches for all."""
        config = dataclasses.replace(self.config, eval_every=0, learning_rate=self.peak)
        actions: dict[tuple[str, bool], Callable[[], Any]] = {}
        order = self._run(0)
        batches = [order.next_rows() for _ in range(_TIMED_STEPS + 1)]
        family = self.models[False].family
        for bf16 in self.halves:
            steps = iter(train(self.models[bf16], self.task, config))
            actions["probe", bf16] = partial(next, steps)
            loop = PlainLoop(self._peft_module(order), self.peak, bf16=bf16)
            feed = [collated([encoded(row, family) for row in batch]) for batch in batches]
            actions["peft", bf16] = partial(next, map(loop.step, feed))
        rounds = [{key: self.clock.of(action) for key, action in actions.items()} for _ in batches]
        return {key: sum(one[key] for one in rounds[1:]) / _TIMED_STEPS for key in actions}

    def allowed(self) -> tuple[float, float]:
        """How much less work is left, in token-steps and in multiply-adds."""
        model = self.models[False]
        labels = 1 if model.family == "causal" else 0
        tokens = sum(len(row.prefix_ids) + labels for row in self.rows) / len(self.rows)
        return allowed(model, self.config.length or 0, tokens, self.args.batch)

    def _run(self, seed: int) -> PromptRun:
        """A prompt before its first step: its start and its order of batches."""
        config = dataclasses.replace(self.config, seed=seed, eval_every=0)
        return train(self.models[False], self.task, config).runs[0]

    def _peft_module(self, run: PromptRun) -> nn.Module:
        if run.start.rows is None:
            raise ValueError("prompt tuning starts from rows, found none")
        return peft_model(raw_copy(self.raw), run.start.rows, self.models[False], self.rows)

    def _progress(self, judge: Callable[[], float], limit_s: float) -> Progress:
        args = self.args
        return Progress(self.clock, self.goal, args.every, args.limit_steps, limit_s, judge)

    def _judge(self, injection: Injection) -> float:
        return validate(self.models[False], injection, self.validation, self.task).loss_nats

    @torch.no_grad()
    def _judge_peft(self, module: nn.Module) -> float:
        model = self.models[False]
        if model.family == "causal":
            rows = prompt_rows(module).detach()
            return self._judge(Injection(rows[None], [len(rows)]))
        losses = [module(**chunk)["loss"] * len(chunk["labels"]) for chunk in self._chunks(model)]
        return float(torch.stack(losses).sum()) / len(self.validation)

    def _chunks(self, model: FrozenModel) -> list[dict[str, Tensor]]:
        ordered: Sequence[Row] = sorted(self.validation, key=len)
        chunks = [ordered[i : i + 64] for i in range(0, len(ordered), 64)]
        batches = [collated([encoded(row, model.family) for row in chunk]) for chunk in chunks]
        return [{key: value.to(model.device) for key, value in one.items()} for one in batches]


def best_runs(
    race: Race, run: Callable[..., Progress], bf16: bool
) -> tuple[Settings, list[Progress], str]:
    """The learning rate whose runs reach the goal soonest over all seeds, those runs, and all told.

    A rate is given up as soon as its runs have cost more than those of the best one.
    """
    best, kept, told = Settings(race.peak, bf16), list[Progress](), []
    for factor in race.args.rates:
        settings = Settings(race.peak * factor, bf16)
        limit_s, runs = sum(one.cost for one in kept) if kept else math.inf, list[Progress]()
        for seed in race.args.seeds:
            runs.append(run(settings, seed, limit_s - sum(one.cost for one in runs)))
            if not runs[-1].reached:
                break
        told.append(f"{settings.rate:.3g}: " + ", ".join(_told(one) for one in runs))
        if runs[-1].reached and sum(one.cost for one in runs) < limit_s:
            best, kept = settings, runs
    if not kept:
        raise SystemExit(
            "no rate reached the goal on every seed: give others, or more --limit-steps"
        )
    return best, kept, "; ".join(told)


def _told(progress: Progress) -> str:
    return f"{progress.steps} steps" if progress.reached else f"given up at {progress.steps}"


def _untouched(name: str, model: FrozenModel) -> Any:
    """The weights as the library itself loads them, without what `FrozenModel` installs."""
    automatic = AutoModelForCausalLM if model.family == "causal" else AutoModel
    raw = automatic.from_pretrained(named_path(name) or name, dtype=torch.float32)
    return raw_copy(raw).to(model.device)
