"""Examples per second on identical batches, step by step, with the losses compared."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from statistics import median

import torch
from report import table
from torch import Tensor
from training_limits import allowed
from training_race import Clock
from training_rivals import AfterStep, PlainLoop, collated, encoded, peft_model, run_trainer
from transformers import GPT2Config, GPT2LMHeadModel

from probe.models import FrozenModel, Row
from probe.models.causal import CausalModel
from probe.task import Task
from probe.training import TrainConfig
from probe.training.batches import Batches
from probe.training.data import Data
from probe.training.initialise import Start
from probe.training.loop import Training
from probe.training.run import PromptRun

_TOLERANCE = 1e-3
_RATE = 0.1


def identical(args: argparse.Namespace, clock: Clock) -> str:
    """GPT-2 small's shape with random weights, at each length of prompt."""
    torch.manual_seed(0)
    config = GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    raw = GPT2LMHeadModel(config).to("cuda" if torch.cuda.is_available() else "cpu")
    model = CausalModel("gpt2-small", copy.deepcopy(raw), None)
    rows = [
        Row(tuple(ids[:-1]), ((ids[-1],), (0,)), 0)
        for ids in torch.randint(1, config.vocab_size, (4 * args.batch, args.tokens)).tolist()
    ]
    lines = [
        line for length in args.lengths for line in _locked(model, raw, rows, length, args, clock)
    ]
    header = ["P", "side", "best s/step", "median s/step", "examples/s", "probe is faster by"]
    header += ["by medians", "largest loss difference", "token-steps allow", "multiply-adds allow"]
    return (
        f"**GPT-2 small's shape**, random weights, float32, B = {args.batch}, {args.tokens} tokens "
        f"with the label, {args.steps} steps of AdamW, the first not timed (the plain loop "
        f"for {args.plain_steps}). Losses equal to {_TOLERANCE} over all steps: checked."
        f"\n\n{table(header, lines)}"
    )


def _locked(
    model: FrozenModel,
    raw: GPT2LMHeadModel,
    rows: Sequence[Row],
    length: int,
    args: argparse.Namespace,
    clock: Clock,
) -> list[list[str]]:
    """All sides through the same batches, step by step; the plain loop for a few steps only."""
    start = model.embed_ids(torch.randint(1, model.vocabulary_size, (length,)))
    batches = _batches(rows, args)
    trainer_model = peft_model(raw, start, model, rows).train()
    mine = iter(_training(model, rows, start, args))
    loop = PlainLoop(peft_model(raw, start, model, rows), _RATE)
    seconds: dict[str, list[float]] = {name: [] for name in ("probe", "PEFT", "PEFT + Trainer")}
    losses: dict[str, list[float]] = {name: [] for name in seconds}
    trainer_model.register_forward_hook(
        lambda _, __, output: losses["PEFT + Trainer"].append(float(output["loss"].detach()))
    )
    began = [0.0]

    def before() -> None:
        began[0] = clock.now()

    def after() -> bool:
        seconds["PEFT + Trainer"].append(clock.now() - began[0])
        number = len(losses["probe"])
        batch = collated([encoded(row, "causal") for row in batches[number]])
        _timed(clock, seconds["probe"], losses["probe"], lambda: next(mine).loss_nats)
        if number < args.plain_steps:
            _timed(clock, seconds["PEFT"], losses["PEFT"], lambda: loop.step(batch))
        return True

    run_trainer(
        trainer_model,
        [encoded(row, "causal") for batch in batches for row in batch],
        rate=_RATE,
        steps=args.steps,
        order="sequential",
        seed=0,
        bf16=False,
        batch_size=args.batch,
        watch=AfterStep(before, after),
    )
    return _lines(
        length, seconds, losses, args.batch, allowed(model, length, args.tokens, args.batch)
    )


def _timed(
    clock: Clock, seconds: list[float], losses: list[float], step: Callable[[], float]
) -> None:
    seconds.append(clock.of(lambda: losses.append(step())))


def _training(
    model: FrozenModel, rows: Sequence[Row], start: Tensor, args: argparse.Namespace
) -> Training:
    config = TrainConfig(
        length=len(start),
        steps=args.steps,
        batch_size=args.batch,
        learning_rate=_RATE,
        schedule="constant",
        eval_every=0,
    )
    task = Task("identical", "classification", label_words=("right", "wrong"))
    run = PromptRun(model, task, config, Start(start, None, None), Data(rows, (), ""))
    return Training(model, [run], None)


def _batches(rows: Sequence[Row], args: argparse.Namespace) -> list[list[Row]]:
    """What our trainer will see, in its order."""
    order = Batches([len(row) for row in rows], args.batch, 0)
    return [[rows[i] for i in order.next()] for _ in range(args.steps)]


def _lines(
    length: int,
    seconds: dict[str, list[float]],
    losses: dict[str, list[float]],
    batch: int,
    limits: tuple[float, float],
) -> list[list[str]]:
    lines = []
    for side, times in seconds.items():
        timed = sorted(times[1:])
        best, mine = timed[0], min(seconds["probe"][1:])
        middle, middles = median(timed), median(seconds["probe"][1:])
        apart = max(abs(a - b) for a, b in zip(losses[side], losses["probe"], strict=False))
        if apart > _TOLERANCE:
            raise SystemExit(f"P = {length}: losses of {side} differ by {apart:.2g}")
        lines.append(
            [str(length), side, f"{best:.3f}", f"{middle:.3f}"]
            + [f"{batch / best:.1f}", f"{best / mine:.2f}×", f"{middle / middles:.2f}×"]
            + [f"{apart:.1e}", *(f"{limit:.2f}×" for limit in limits)]
        )
    return lines
