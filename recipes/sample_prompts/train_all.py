"""Train the sample prompts with the trainer of `probe`, score them, and write them to a folder.

    python -m recipes.sample_prompts.train_all --data-dir DATA --out build/sample_prompts

Prompts of one task and model train in one pass. What is finished is in the manifest and is left
alone when the same command runs again; what was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import time
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from probe.datasets import load_task, sample
from probe.evaluation import Condition, Evaluation, answer, compare, zero_shot
from probe.formats import save
from probe.models import FrozenModel, load_model
from probe.prompt import AnyPrompt
from probe.task import Task
from probe.training import train
from recipes.sample_prompts.manifest import entry, read_entries, write_entries
from recipes.sample_prompts.wanted import (
    DEFAULT_PAPER,
    KINDS,
    MODELS,
    PAPER,
    SHIPPED,
    Wanted,
    packed,
    wanted_prompts,
)

_UNTIMED_UPDATES, _TIMED_UPDATES = 1, 3
PROMPT_FILE = "prompt.safetensors"
"""Of prompts that PEFT cannot express."""


def train_group(
    model: FrozenModel, task: Task, group: Sequence[Wanted], run_folder: Path
) -> list[AnyPrompt]:
    """Train prompts in one pass, from their last checkpoint if there is one."""
    training = train(model, task, [one.config for one in group], run_folder=run_folder, resume=True)
    for step in training:
        if step.validation is not None:
            print(
                f"{group[step.prompt].name} step {step.step}: loss {step.loss_nats:.3f}, "
                f"validation {step.validation.metric} {step.validation.value:.3f}",
                flush=True,
            )
        if step.warning or step.stopped not in (None, "finished"):
            print(f"{group[step.prompt].name}: {step.warning or step.stopped}", flush=True)
    return [
        dataclasses.replace(prompt, name=one.name)
        for one, prompt in zip(group, training.prompts, strict=True)
    ]


def scored(
    model: FrozenModel, task: Task, prompts: Sequence[AnyPrompt], rows: int
) -> tuple[Evaluation, ...]:
    """The prompts and, last, zero-shot, on the same test rows."""
    conditions = [Condition(prompt.name, task, prompt) for prompt in prompts]
    examples = sample(task.test, rows)
    answers = answer(model, [*conditions, zero_shot(conditions[0])], examples)
    return compare(answers, examples, model=model.name, metric=task.metric)[0]


def write(prompt: AnyPrompt, facts: dict[str, Any], folder: Path) -> None:
    """Write one prompt, in place of an older one of its name, as PEFT's folder where it can be."""
    prompt = dataclasses.replace(prompt, metrics={**prompt.metrics, **facts["metrics"]})
    dest = folder / prompt.name
    shutil.rmtree(dest, ignore_errors=True)
    if facts["base_model"] == "minilm":  # PEFT has no place for it behind a first special token
        save(prompt, dest / PROMPT_FILE, to="safetensors")
    else:
        save(prompt, dest, to="peft")


def estimated_minutes(model: FrozenModel, task: Task, group: Sequence[Wanted]) -> float:
    """Minutes that training a group will take, from a few updates; validations not counted."""
    configs = [dataclasses.replace(one.config, eval_every=0) for one in group]
    records = iter(train(model, task, configs))
    list(islice(records, len(group) * _UNTIMED_UPDATES))
    began = time.perf_counter()
    list(islice(records, len(group) * _TIMED_UPDATES))
    update_s = (time.perf_counter() - began) / _TIMED_UPDATES
    return update_s * configs[0].steps / 60


def make(group: Sequence[Wanted], task: Task, args: argparse.Namespace) -> None:
    """Train a group, score it, and write its prompts and their entries."""
    name = group[0].model
    run_folder = args.out / ".runs" / group[0].name
    prompts = train_group(_model(name, args.dtype), task, group, run_folder)
    exact = _model(name, "float32")  # what people read the prompts with
    *evaluations, alone = scored(exact, task, prompts, args.test_rows)
    for wanted, prompt, found in zip(group, prompts, evaluations, strict=True):
        facts = entry(wanted, task, prompt, found, alone)
        facts["metrics"]["test_rows"] = min(len(task.test), args.test_rows)
        facts |= {"command": _command(wanted, args), "model_sha256": _sha256(name)}
        write(prompt, facts, args.out)
        write_entries(args.out, read_entries(args.out) | {wanted.name: facts})
        print(f"{wanted.name}: {facts['metrics']}", flush=True)
    shutil.rmtree(run_folder)


def is_made(wanted: Wanted, args: argparse.Namespace) -> bool:
    """Whether the manifest holds this prompt, of this model, with these steps and this seed."""
    facts = read_entries(args.out).get(wanted.name)
    if facts is None or not (args.out / wanted.name).is_dir():
        return False
    same = all(facts["training"][key] == getattr(wanted.config, key) for key in ("steps", "seed"))
    return same and facts["model_sha256"] == _sha256(wanted.model)


def missing_groups(args: argparse.Namespace) -> Iterator[list[Wanted]]:
    """Groups that are not made yet, model by model and task by task."""
    for model in args.models:
        for task in args.tasks:
            for group in packed(wanted_prompts(model, task, args.steps, args.seed, args.kinds)):
                if not all(is_made(wanted, args) for wanted in group):
                    yield group


@cache
def _model(name: str, dtype: str) -> FrozenModel:
    return load_model(name, dtype=dtype)


@cache
def _sha256(name: str) -> str:
    return _model(name, "float32").fingerprint


@cache
def _task(name: str, data_dir: Path | None) -> Task:
    return load_task(name, data_dir if name in PAPER else None)


def _command(wanted: Wanted, args: argparse.Namespace) -> str:
    """How to make one prompt again, wherever the data lie."""
    data = " --data-dir DATA" if wanted.task in PAPER else ""
    return (
        f"python -m recipes.sample_prompts.train_all{data} --models {wanted.model} "
        f"--tasks {wanted.task} --kinds {wanted.kind} --steps {wanted.config.steps} "
        f"--seed {args.seed} --dtype {args.dtype} --test-rows {args.test_rows} --out OUT"
    )


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of prompts and manifest")
    parser.add_argument("--data-dir", type=Path, help="the paper's tasks; else from the hub")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument(
        "--tasks", nargs="+", choices=PAPER + SHIPPED, default=DEFAULT_PAPER + SHIPPED
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="default: those that ship")
    parser.add_argument("--steps", type=int, help="updates of each prompt; default: as listed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument(
        "--test-rows", type=int, default=2000, help="at most, from all over the split"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say how long it would take")
    return parser.parse_args()


def main() -> None:
    """Make what is missing, or say how long that would take."""
    args = _parsed()
    args.out.mkdir(parents=True, exist_ok=True)
    total = 0.0
    for group in missing_groups(args):
        task = _task(group[0].task, args.data_dir)
        if not args.dry_run:
            make(group, task, args)
            continue
        minutes = estimated_minutes(_model(group[0].model, args.dtype), task, group)
        total += minutes
        print(f"{minutes:6.1f} min  {', '.join(one.name for one in group)}", flush=True)
    if args.dry_run:
        print(f"{total:6.1f} min in all, validations and tests not counted")


if __name__ == "__main__":
    main()
