"""One prompt in training: its module, optimiser, data order, randomness and best moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from probe.models import FrozenModel, Injection, Row
from probe.requests.train_config import TrainConfig
from probe.task import Task
from probe.texts import counted
from probe.training.data import Batches, Data
from probe.training.initialise import Start, embedded, table_spread, text_ids
from probe.training.methods.base import build_module, injection_of_made
from probe.training.nearest import Movement
from probe.training.optimiser import (
    Tensors,
    below,
    learning_rate,
    optimiser_of,
    optimiser_state,
    restore_optimiser,
    update,
)
from probe.training.validation import Validation, validate

_STALL = 3
"""Validations with one and the same metric before a run is said not to move."""
_LOOKS = 50
"""Times in a run that nearest tokens are looked for: each look reads the whole table once."""


class PromptRun:
    """Everything of one prompt that changes while it is trained."""

    def __init__(
        self,
        model: FrozenModel,
        task: Task,
        config: TrainConfig,
        start: Start,
        data: Data,
    ) -> None:
        self.task, self.config, self.start, self.data = task, config, start, data
        self.module = build_module(model, config, start)
        rows = self.module() if start.prefix is None else None
        self._movement = None if rows is None else Movement(rows, model)
        self.optimiser = optimiser_of(self.module, config)
        self.batches = Batches([len(row) for row in data.train], config.batch_size, config.seed)
        given = config.learning_rate
        self.peak = self.module.default_rate(table_spread(model)) if given is None else given
        self.randomness = torch.Generator().manual_seed(config.seed)
        self.target: Tensor | None = None
        if config.target is not None:
            self.target = embedded(model, text_ids(model, config.target)).to(model.device)
        self.step = 0
        self.stopped: str | None = None
        self.validations: list[tuple[int, Validation]] = []
        self.best: Tensors | None = None
        self.good = self._copy()
        self.good_step = 0

    def next_rows(self) -> list[Row]:
        """The rows of the next update."""
        return [self.data.train[i] for i in self.batches.next()]

    def make(self) -> Tensor:
        """What the prompt injects at its next update, rows or a prefix, with gradients."""
        self.module.prepare_update(self.step / self.config.steps)
        made: Tensor = self.module()
        return made

    def drop(self, made: Tensor) -> Tensor:
        """Prompt dropout: zero a share of the numbers and scale up the others."""
        if not self.config.dropout:
            return made
        kept = torch.rand(made.shape, generator=self.randomness) >= self.config.dropout
        return made * kept.to(made.device) / (1 - self.config.dropout)

    def distance(self, rows: Tensor) -> Tensor:
        """Mean squared distance of rows [P, H] to the target's embeddings, 0 without a target.

        (1/P) Σᵢ ‖pᵢ − e(tᵢ)‖², the second term of Khashabi et al. 2022, equation 2.
        """
        if self.target is None:
            return torch.zeros((), device=rows.device)
        return (rows - self.target).square().sum(1).mean()

    def clip(self) -> Tensor:
        """Shorten this prompt's gradients and return their norm before that."""
        longest = math.inf if self.config.clip_norm is None else self.config.clip_norm
        return torch.nn.utils.clip_grad_norm_(self.module.parameters(), longest)

    def advance(self) -> float:
        """Update the prompt and return the rate it was updated at."""
        rate = learning_rate(self.config, self.peak, self.step)
        update(self.optimiser, rate)
        self.step += 1
        if self.step == self.config.steps:
            self.stopped = "finished"
        return rate

    def mark_good(self) -> bool:
        """Remember the prompt as one to fall back on; False where its numbers are not finite."""
        if not all(bool(value.isfinite().all()) for value in self.module.parameters()):
            return False
        self.good, self.good_step = self._copy(), self.step
        return True

    def diverge(self, what: str) -> None:
        """Stop, and fall back on the prompt of the last checkpoint."""
        self.optimiser.zero_grad(set_to_none=True)
        self.module.load_state_dict(self.good)
        failed, self.step = self.step + 1, self.good_step
        kept = self.step if self.kept_validation is None else self.kept_validation[0]
        self.stopped = f"diverged: {what} at step {failed}, the prompt is that of step {kept}"

    @property
    def diverged(self) -> bool:
        """Whether the run stopped at a number that is not finite."""
        return self.stopped is not None and self.stopped.startswith("diverged")

    def token_change_rate(self) -> float | None:
        """Share of positions whose nearest token has changed, where it is time to look.

        A prefix has no nearest tokens, and a prompt that is not finite none either.
        """
        every = max(1, self.config.steps // _LOOKS)
        due = self.step % every == 0 or self.step == self.config.steps
        if self._movement is None or self.diverged or not due:
            return None
        return self._movement.token_change_rate(self.module())

    @property
    def validation_due(self) -> bool:
        """Whether the prompt is to be scored after the update just made."""
        if not self.data.validation or not self.config.eval_every:
            return False
        return self.step % self.config.eval_every == 0 or self.step == self.config.steps

    def validate(self, model: FrozenModel) -> Validation:
        """Score the prompt, remember it if it is the best, and stop early if it has waited.

        Under γ none is remembered: the best at the task may be far from its target.
        """
        found = validate(model, self.injection(), self.data.validation, self.task)
        better = all(found.rank > earlier.rank for _, earlier in self.validations)
        if better and math.isfinite(found.loss_nats) and not self.config.gamma:
            self.best = self._copy()
        self.validations.append((self.step, found))
        waited = len(self.validations) - 1 - self.best_validation
        if self.config.patience is not None and waited >= self.config.patience:
            self.stopped = self.stopped or f"early: no better for {counted(waited, 'validation')}"
        return found

    @property
    def best_validation(self) -> int:
        """Number of the best validation, the earliest of equals."""
        ranks = [validation.rank for _, validation in self.validations]
        return ranks.index(max(ranks))

    @property
    def kept_validation(self) -> tuple[int, Validation] | None:
        """Step and score of the prompt that is kept, if it was scored."""
        if self.best is not None:
            return self.validations[self.best_validation]
        for step, found in self.validations[-1:]:
            if step == self.step and math.isfinite(found.loss_nats):
                return step, found
        return None

    def warning(self) -> str | None:
        """What to say, once, of a metric that has not moved since the start."""
        values = [validation.value for _, validation in self.validations]
        metric = self.validations[0][1].metric if values else ""
        solved = metric != "loss_nats" and values[-1:] == [1.0]
        if len(values) != _STALL or len(set(values)) > 1 or solved:
            return None
        return (
            f"{metric} has stayed at {values[0]:.4f} in {_STALL} validations: "
            "try a higher learning rate, and check the label words and the template"
        )

    @torch.no_grad()
    def injection(self) -> Injection:
        """The prompt as it is now, alone."""
        return injection_of_made([self.module()])

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Tensors and a JSON document from which `restore` goes on, bit by bit."""
        tensors = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in (self.best or {}).items()}
        moments, plain = optimiser_state(self.optimiser)
        tensors |= {f"optimiser.{name}": value for name, value in moments.items()}
        tensors["randomness"] = self.randomness.get_state()
        return tensors, {
            "config": self.config.to_dict(),
            "data": self.data.fingerprint,
            "step": self.step,
            "stopped": self.stopped,
            "order": self.batches.state(),
            "optimiser": plain,
            "validations": [[step, asdict(found)] for step, found in self.validations],
        }

    def restore(self, tensors: Tensors, document: Mapping[str, Any], turns: int) -> None:
        """Go on where a state was taken, after so many turns of all prompts."""
        self.module.load_state_dict(below("module.", tensors))
        devices = {name: value.device for name, value in self.module.state_dict().items()}
        best = below("best.", tensors)
        self.best = {name: value.to(devices[name]) for name, value in best.items()} or None
        restore_optimiser(self.optimiser, below("optimiser.", tensors), document["optimiser"])
        self.randomness.set_state(tensors["randomness"])
        self.batches.restore(document["order"])
        self.step, self.stopped = document["step"], document["stopped"]
        # One that stopped before the others is behind them, and takes no turns with them any more.
        further = self.config.steps > document["config"]["steps"] and self.step == turns
        if further and not self.diverged:
            self.stopped = None
        self.validations = [(step, Validation(**found)) for step, found in document["validations"]]
        self.good, self.good_step = self._copy(), self.step

    def _copy(self) -> Tensors:
        return {name: value.clone() for name, value in self.module.state_dict().items()}
