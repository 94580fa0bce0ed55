"""How much text P trained rows hold: the frozen model is to reproduce it token by token.

Kuratov et al. 2025, *Cramming 1568 Tokens into a Single Vector and Back Again* (arXiv 2502.13063):
nothing but the rows stands before the text, and they are trained by its cross-entropy. Here the
text grows: a prefix is trained until it is reproduced, then a longer one from the same rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from probe.errors import TrainingError
from probe.models import CausalModel, FrozenModel, Injection, Row, Slot
from probe.models.language import log_likelihoods
from probe.requests.train_config import TrainConfig
from probe.task import Task
from probe.texts import counted
from probe.training.data import Data
from probe.training.initialise import rows_of as rows_of_start
from probe.training.initialise import start_of
from probe.training.loop import Step, Training
from probe.training.methods.base import injection_of_made
from probe.training.prompt_run import PromptRun

FIRST = 8
"""Tokens of the first prefix."""
_BETAS = (0.9, 0.9)
"""Of AdamW, as in Kuratov et al. 2025: gradients of one row jump, and a long memory of their
squares would keep its steps small for hundreds of updates."""
_LOOK_EVERY = 5
"""Updates between two looks at which tokens are right."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model expects of the T tokens of a text, each behind the true ones before it."""

    right: NDArray[np.bool_]
    """[T] whether the likeliest token is the text's."""
    nats: NDArray[np.float64]
    """[T] minus the log-likelihood of the text's."""

    def longest(self, accuracy: float) -> int:
        """Tokens of the longest beginning of which at least this share is right."""
        shares = np.cumsum(self.right) / np.arange(1, len(self.right) + 1)
        held = np.flatnonzero(shares >= accuracy)
        return int(held[-1]) + 1 if len(held) else 0


@dataclass(frozen=True)
class Look:
    """How far one text is."""

    text: int
    """Which of the K texts, from 0."""
    step: int
    longest: int
    """Tokens of the longest beginning that was held so far."""
    tried: int
    """Tokens that are trained on."""
    loss_nats: float
    """Mean over the tokens of the last update."""
    stopped: str | None = None
    """Why this was its last look."""


class Cramming:
    """K texts, each with rows of its own, through one frozen model in one pass.

    Iterate over it for the looks; `rows`, `longest` and `history` then have what was held.
    """

    def __init__(
        self,
        model: FrozenModel,
        texts: Sequence[Sequence[int]],
        config: TrainConfig,
        *,
        accuracy: float = 1.0,
        patience: int | None = None,
    ) -> None:
        """Prepare the rows.

        Args:
            model: a causal language model.
            texts: K texts as token ids, none of them empty.
            config: of every prompt; P is its length.
            accuracy: share of a beginning's tokens that has to be right for it to be held.
            patience: updates without a longer beginning after which a text is given up.

        Raises:
            TrainingError: the model is no causal one.
        """
        if not isinstance(model, CausalModel):
            raise TrainingError(
                f"{model.name} is a {model.family} model, which does not write a text from left to "
                "right: cram into a causal language model"
            )
        self.model, self.texts = model, [tuple(ids) for ids in texts]
        self.accuracy, self.patience = accuracy, patience
        task = Task("crammed", "generation")
        start = start_of(model, task, config)
        self.start_ids = start.token_ids
        self.rows = [rows_of_start(start).numpy()] * len(self.texts)
        """[P, H] of each text, the surest of those that held the longest beginning."""
        self.longest = [0] * len(self.texts)
        self._nats = [math.inf] * len(self.texts)
        self.history: list[list[tuple[int, int]]] = [[] for _ in self.texts]
        """Per text, the updates at which a longer beginning was held, and its tokens."""
        self._tried = [min(FIRST, len(ids)) for ids in self.texts]
        runs = [
            PromptRun(model, task, config, start, self._data(number))
            for number in range(len(self.texts))
        ]
        for run in runs:
            run.optimiser = torch.optim.AdamW(
                run.module.parameters(), lr=0.0, betas=_BETAS, weight_decay=config.weight_decay
            )
        self.training = Training(model, runs, None)

    def __iter__(self) -> Iterator[Look]:
        """Train until every text is held whole, is given up or has had all its updates."""
        runs = self.training.runs
        records = iter(self.training)
        while active := [number for number, run in enumerate(runs) if not run.stopped]:
            turn = list(itertools.islice(records, len(active)))
            if turn[0].step % _LOOK_EVERY == 0 or any(step.stopped for step in turn):
                yield from self._look(turn)

    def _look(self, turn: Sequence[Step]) -> Iterator[Look]:
        """See which tokens are right, and let the beginnings that are held grow."""
        runs = [self.training.runs[one.prompt] for one in turn]
        rows = [run.data.train[0] for run in runs]
        found = predicted(self.model, [rows_of(run) for run in runs], rows)
        for record, run, one in zip(turn, runs, found, strict=True):
            number, held = record.prompt, one.longest(self.accuracy)
            self._hold(number, held, record.step, float(one.nats[:held].sum()))
            run.stopped = run.stopped or self._over(number, record.step)
            yield Look(
                text=number,
                step=record.step,
                longest=self.longest[number],
                tried=self._tried[number],
                loss_nats=record.loss_nats,
                stopped=run.stopped,
            )
            if held == self._tried[number]:
                self._grow(number)

    def _hold(self, number: int, held: int, step: int, nats: float) -> None:
        """Keep the rows of the longest beginning, and of those the surest ones."""
        longest = self.longest[number]
        if held > longest or (held == longest > 0 and nats < self._nats[number]):
            self.longest[number], self._nats[number] = held, nats
            self.rows[number] = rows_of(self.training.runs[number])
        if held > longest:
            self.history[number].append((step, held))

    def _grow(self, number: int) -> None:
        held = self._tried[number]
        self._tried[number] = min(len(self.texts[number]), held + max(1, held // FIRST))
        self.training.runs[number].data = self._data(number)

    def _over(self, number: int, step: int) -> str | None:
        if self.longest[number] == len(self.texts[number]):
            return "held whole"
        waited = step - (self.history[number][-1][0] if self.history[number] else 0)
        if self.patience is not None and waited >= self.patience:
            return f"given up: nothing more was held for {counted(waited, 'update')}"
        return None

    def _data(self, number: int) -> Data:
        length = len(self.rows[number])
        return Data([crammed_row(self.texts[number][: self._tried[number]], length)], (), "")


def crammed_row(ids: Sequence[int], length: int) -> Row:
    """A text behind P prompt rows and nothing else."""
    return Row((), (tuple(ids),), label=0, slots=(Slot(0, length),))


def start_row(length: int) -> Row:
    """P prompt rows, behind which a text is to be written."""
    return Row((), (), slots=(Slot(0, length),))


def bare_row(model: FrozenModel, ids: Sequence[int]) -> Row:
    """A text without a prompt: behind the token that begins texts, else the one that ends them."""
    special = (model.tokenizer.bos_token_id, model.tokenizer.eos_token_id)
    before = next((int(i) for i in special if i is not None), int(ids[0]))
    return Row((before,), (tuple(ids),), label=0, slots=())


def rows_of(run: PromptRun) -> NDArray[np.float32]:
    """The rows [P, H] of a run as they are now."""
    with torch.no_grad():
        rows: NDArray[np.float32] = run.module().float().cpu().numpy().copy()
    return rows


def injection_of_rows(model: FrozenModel, prompts: Sequence[NDArray[np.float32]]) -> Injection:
    """K arrays of rows [P, H] as one injection."""
    return injection_of_made([torch.from_numpy(rows).to(model.device) for rows in prompts])


@torch.no_grad()
def predicted(
    model: CausalModel, prompts: Sequence[NDArray[np.float32]] | None, texts: Sequence[Row]
) -> list[Predicted]:
    """What the model expects of each of K texts.

    Args:
        model: a causal language model.
        prompts: K arrays of rows [P, H]; None is the model alone.
        texts: K rows, as `crammed_row` or `bare_row` makes them.
    """
    injection, which = None, None
    if prompts is not None:
        injection, which = injection_of_rows(model, prompts), torch.arange(len(prompts))
    logits, _ = model.target_logits(injection, texts, which)
    targets = torch.tensor([i for row in texts for i in row.options[0]], device=logits.device)
    right = (logits.argmax(-1) == targets).cpu().numpy()
    nats = -log_likelihoods(logits, torch.arange(len(targets)), targets).double().cpu().numpy()
    ends = np.cumsum([len(row.options[0]) for row in texts])[:-1]
    return [
        Predicted(*pair) for pair in zip(np.split(right, ends), np.split(nats, ends), strict=True)
    ]
