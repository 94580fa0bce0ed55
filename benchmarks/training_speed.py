"""Training a prompt: `probe` against PEFT, in one run, as ratios.

`gpt2`: examples per second on identical batches, float32, no dropout; the Trainer leads, and the
others take the same batch between two of its steps. `builtin`, `minilm`: time to one validation
loss on SST-2, each side at its best. `many`: K prompts in one pass. The physical limit beside the
figures counts token-steps, P + B·T against B·(P + T), without the output head.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from report import publish, table
from torch import Tensor
from training_race import Clock, Race, best_settings
from training_rivals import AfterStep, PlainLoop, collated, encoded, peft_model, run_trainer
from transformers import GPT2Config, GPT2LMHeadModel

from probe.datasets import load_task
from probe.models import FrozenModel, Row, load_model
from probe.models.causal import CausalModel
from probe.task import Task
from probe.train import TrainConfig, train
from probe.train.batches import Batches
from probe.train.data import Data
from probe.train.initialise import Start
from probe.train.loop import Training
from probe.train.run import PromptRun

_TOLERANCE = 1e-3
_RATE = 0.1
_PARTS = ("gpt2", "builtin", "minilm", "many")


def main() -> None:
    """Run the parts asked for and publish them together."""
    args = _arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    clock = Clock(args.clock)
    args.goal = {"builtin": args.builtin_goal, "minilm": args.minilm_goal}
    sections = []
    for part in args.parts:
        if part == "gpt2":
            sections.append(_identical(args, clock))
        elif part == "many":
            sections.append(_many(args, clock))
        else:
            sections.append(_race(part, args, clock))
        print(sections[-1], file=sys.stderr, flush=True)
    seconds = "processor seconds" if args.clock == "cpu" else "seconds of the wall clock"
    note = f"Times are {seconds}, {torch.get_num_threads()} thread(s), on {_device()}."
    publish(
        "training_speed",
        "Training speed: one run, ratios",
        "\n\n".join([note, *sections]),
        "torch",
        "transformers",
        "peft",
        write=args.write,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    parser.add_argument("--lengths", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--steps", type=int, default=20, help="of gpt2")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32, help="of a gpt2 row with its label")
    parser.add_argument("--builtin-goal", type=float, default=0.6, help="nats")
    parser.add_argument("--minilm-goal", type=float, default=0.45, help="nats")
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 0.3, 3.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--every", type=int, default=10, help="steps between validations")
    parser.add_argument("--limit-steps", type=int, default=1000)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"


def _identical(args: argparse.Namespace, clock: Clock) -> str:
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
    header += ["largest loss difference", "token-steps allow"]
    return (
        f"**GPT-2 small's shape**, random weights, float32, B = {args.batch}, {args.tokens} tokens "
        f"with the label, {args.steps} steps of AdamW, the first not timed. Losses equal to "
        f"{_TOLERANCE}: checked.\n\n{table(header, lines)}"
    )


def _locked(
    model: FrozenModel,
    raw: GPT2LMHeadModel,
    rows: Sequence[Row],
    length: int,
    args: argparse.Namespace,
    clock: Clock,
) -> list[list[str]]:
    """All sides through the same batches, step by step."""
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
        number = len(losses["PEFT"])
        batch = collated([encoded(row, "causal") for row in batches[number]])
        _timed(clock, seconds["probe"], losses["probe"], lambda: next(mine).loss_nats)
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
    text = args.tokens
    allowed = args.batch * (length + text) / (length + args.batch * (text - 1))
    return _lines(length, seconds, losses, args.batch, allowed)


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
    allowed: float,
) -> list[list[str]]:
    lines = []
    for side, times in seconds.items():
        timed = sorted(times[1:])
        best, mine = timed[0], min(seconds["probe"][1:])
        apart = max(abs(a - b) for a, b in zip(losses[side], losses["probe"], strict=True))
        if apart > _TOLERANCE:
            raise SystemExit(f"P = {length}: losses of {side} differ by {apart:.2g}")
        lines.append(
            [str(length), side, f"{best:.3f}", f"{timed[len(timed) // 2]:.3f}"]
            + [f"{batch / best:.1f}", f"{best / mine:.2f}×", f"{apart:.1e}", f"{allowed:.2f}×"]
        )
    return lines


def _race(name: str, args: argparse.Namespace, clock: Clock) -> str:
    race = Race(name, load_task("sst2", args.data_dir), args, clock)
    steps = race.step_seconds()
    runs = {"probe": race.probe, "peft": race.peft}
    faster = {side: steps[side, True] < steps[side, False] for side in runs}
    chosen = {side: best_settings(race, run, faster[side]) for side, run in runs.items()}
    seconds: dict[str, list[float]] = {side: [] for side in runs}
    counts: dict[str, list[int]] = {side: [] for side in runs}
    for seed in args.seeds:
        for side, run in runs.items():
            progress = run(chosen[side][0], seed, float("inf"))
            seconds[side].append(progress.cost)
            counts[side].append(progress.steps)
    lines = []
    for side, (settings, told) in chosen.items():
        total = sum(seconds[side])
        lines.append(
            ["probe" if side == "probe" else "PEFT + Trainer"]
            + [f"{steps[side, half]:.3f}" for half in (False, True)]
            + ["bf16" if settings.bf16 else "fp32", f"{settings.rate:.3g}"]
            + [", ".join(map(str, counts[side])), f"{total / len(args.seeds):.1f}"]
            + [f"{total / sum(seconds['probe']):.2f}×", told]
        )
    header = ["side", "fp32 s/step", "bf16 s/step", "chosen", "rate", "steps to the goal"]
    header += ["mean s to the goal", "probe is faster by", "rates tried on seed 0"]
    return (
        f"**`{name}` on SST-2**, P = 20, B = {args.batch}, to a validation loss of {race.goal} "
        f"nats ({len(race.validation)} examples, every {args.every} steps, not timed), seeds "
        f"{args.seeds}, same starts; both sides gather rows by length. s/step of both precisions: "
        f"same batches, PEFT in a plain loop.\n\n{table(header, lines)}"
    )


def _many(args: argparse.Namespace, clock: Clock) -> str:
    gpu = torch.cuda.is_available()
    model = load_model("builtin", dtype="bfloat16" if gpu else None)
    task = load_task("sst2", args.data_dir)
    lines: list[list[str]] = []
    single = 0.0
    for count in (1, 4, 16, *([64] if gpu else [])):
        configs = [
            TrainConfig(length=20, seed=seed, batch_size=args.batch, eval_every=0, steps=99)
            for seed in range(count)
        ]
        steps = iter(train(model, task, configs))
        times = [clock.of(lambda: [next(steps) for _ in range(count)]) for _ in range(8)]  # noqa: B023
        each = min(times[1:]) / count
        single = single or each
        lines.append([str(count), f"{min(times[1:]):.3f}", f"{each:.4f}", f"{single / each:.2f}×"])
    header = ["K", "best s/step of all", "s/step per prompt", "per prompt, against K = 1"]
    return (
        f"**K prompts at once**, `builtin` on SST-2, P = 20, B = {args.batch} each, K seeds.\n\n"
        f"{table(header, lines)}"
    )


if __name__ == "__main__":
    main()
