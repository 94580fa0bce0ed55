"""Training a prompt: `probe` against PEFT, in one run, as ratios.

`gpt2`, `smollm2`: examples per second on identical batches, float32, no dropout; the Trainer leads,
and the others take the same batch between two of its steps. `builtin`, `minilm`: time to one
validation loss on SST-2, each side at its best. `many`: K prompts in one pass. The physical limits
beside the figures count token-steps, P + B·T against B·(P + T), and multiply-adds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from report import publish, table
from training_identical import identical
from training_limits import forget_peak, peak_bytes
from training_race import Clock, Race, best_runs

from probe.datasets import load_task
from probe.models import FrozenModel, load_model
from probe.task import Task
from probe.training import TrainConfig, train

_RATES = ("both sides at one rate", "each side at its best rate over all seeds")
_PARTS = ("gpt2", "smollm2", "builtin", "minilm", "many")


def main() -> None:
    """Run the parts asked for and publish each."""
    args = _arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    clock = Clock(args.clock)
    args.goal = {"builtin": args.builtin_goal, "minilm": args.minilm_goal}
    seconds = "processor seconds" if args.clock == "cpu" else "seconds of the wall clock"
    note = f"Times are {seconds}, {torch.get_num_threads()} thread(s), on {_device()}."
    for part in args.parts:
        if part in ("gpt2", "smollm2"):
            section = identical(args, clock, part)
        elif part == "many":
            section = _many(args, clock)
        else:
            section = _race(part, args, clock)
        publish(
            "training_speed",
            "Training speed: one run, ratios",
            f"{note}\n\n{section}",
            "torch",
            "transformers",
            "peft",
            write=args.write,
            part=_file_of(part, args),
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument(
        "--data-dir",
        type=Path,
        help="holds sst2/train.jsonl and the like, for all parts but gpt2; else from the hub",
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--steps", type=int, default=20, help="of gpt2 and smollm2")
    parser.add_argument("--plain-steps", type=int, default=4, help="of gpt2, PEFT without Trainer")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32, help="of a gpt2 row with its label")
    parser.add_argument("--builtin-goal", type=float, default=0.8, help="nats")
    parser.add_argument("--minilm-goal", type=float, default=0.5, help="nats")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.3, 0.1, 1.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--every", type=int, default=10, help="steps between validations")
    parser.add_argument("--limit-steps", type=int, default=300)
    parser.add_argument(
        "--bf16", action="store_true", help="gpt2, smollm2: on all sides; races: each side's choice"
    )
    parser.add_argument("--many-model", default="builtin", help="of many")
    parser.add_argument("--many-length", type=int, default=20, help="of many: virtual tokens")
    parser.add_argument("--many-steps", type=int, default=7, help="of many, timed")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 4, 16, 64], help="of many: K")
    parser.add_argument("--dtypes", nargs="+", default=["float32"], help="of many, without a GPU")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def _file_of(part: str, args: argparse.Namespace) -> str:
    """Names of results; `builtin` of many goes without saying, and so does float32."""
    if part == "many" and args.many_model != "builtin":
        return f"many_{args.many_model}"
    return f"{part}_bfloat16" if part in ("gpt2", "smollm2") and args.bf16 else part


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"


def _race(name: str, args: argparse.Namespace, clock: Clock) -> str:
    race = Race(name, load_task("sst2", args.data_dir), args, clock)
    runs = {"probe": race.probe, "peft": race.peft}
    half = dict.fromkeys(runs, False)
    if args.bf16:
        steps = race.step_seconds()
        half = {side: steps[side, True] < steps[side, False] for side in runs}
    best = {side: best_runs(race, run, half[side]) for side, run in runs.items()}
    seconds = {side: [one.cost for one in kept] for side, (_, kept, _) in best.items()}
    counts = {side: [one.steps for one in kept] for side, (_, kept, _) in best.items()}
    lines = []
    for side, (settings, _, told) in best.items():
        total, mine = sum(seconds[side]), seconds["probe"]
        by_step = total / sum(counts[side]) / (sum(mine) / sum(counts["probe"]))
        lines.append(
            ["probe" if side == "probe" else "PEFT + Trainer"]
            + ["bf16" if settings.bf16 else "fp32", f"{settings.rate:.3g}"]
            + [", ".join(map(str, counts[side])), f"{total / sum(counts[side]):.3f}"]
            + [", ".join(f"{one:.1f}" for one in seconds[side])]
            + [f"{total / sum(mine):.2f}×", f"{by_step:.2f}×"]
            + [*(f"{limit:.2f}×" for limit in race.allowed()), told]
        )
    header = ["side", "precision", "rate", "steps to the goal", "s/step", "s to the goal"]
    header += ["probe is faster by", "per step", "token-steps allow per step"]
    header += ["multiply-adds allow per step", "rates tried"]
    return (
        f"**`{name}` on SST-2**, P = 20, B = {args.batch}, to a validation loss of {race.goal} "
        f"nats ({len(race.validation)} examples, every {args.every} steps, not timed), seeds "
        f"{args.seeds}, same starts, same batches, {_RATES[len(args.rates) > 1]}.\n\n"
        f"{table(header, lines)}"
    )


def _many(args: argparse.Namespace, clock: Clock) -> str:
    gpu = torch.cuda.is_available()
    name = args.many_model
    task = load_task("sst2", args.data_dir)
    lines: list[list[str]] = []
    for dtype in ("bfloat16",) if gpu else args.dtypes:
        model = load_model(name, dtype=dtype)
        found = [_at_once(model, task, count, args, clock) for count in args.counts]
        for count, (best_s, held_bytes) in zip(args.counts, found, strict=True):
            each = best_s / count
            lines.append(
                [dtype, str(count), f"{best_s:.3f}", f"{each:.4f}", f"{1 / each:.2f}"]
                + [f"{found[0][0] / args.counts[0] / each:.2f}×", f"{held_bytes / 1e9:.2f}"]
            )
        del model
    header = ["precision", "K", "best s/step of all", "s/step per prompt", "updates/s per prompt"]
    header += [f"per prompt, against K = {args.counts[0]}", "peak memory (GB)"]
    return (
        f"**K prompts at once**, `{name}` on SST-2, P = {args.many_length}, B = {args.batch} each, "
        "K seeds. Every prompt has positions of its own, P + B · (T - 1): multiply-adds and "
        "token-steps allow 1.00× per prompt, so whatever is won is won by fuller matrix products."
        f"\n\n{table(header, lines)}"
    )


def _at_once(
    model: FrozenModel, task: Task, count: int, args: argparse.Namespace, clock: Clock
) -> tuple[float, float]:
    """Seconds of the fastest step of K prompts together, and the most memory held, in bytes."""
    configs = [
        TrainConfig(
            length=args.many_length, seed=seed, batch_size=args.batch, eval_every=0, steps=99
        )
        for seed in range(count)
    ]
    forget_peak()
    steps = iter(train(model, task, configs))
    times = [
        clock.of(lambda: [next(steps) for _ in range(count)]) for _ in range(args.many_steps + 1)
    ]
    return min(times[1:]), peak_bytes()


if __name__ == "__main__":
    main()
