"""Distil every known text under several conditions, then measure what the prompts have learned.

    python -m recipes.readings.known_texts train --model smollm2 --out build/readings
    python -m recipes.readings.known_texts measure --model smollm2 --out build/readings

`train` keeps the rows of every condition in a safetensors file, `measure` writes beside it what
needs the model: shares explained on held-out contexts and promoted tokens. What is in the folder
already is left alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from probe.distillation import distillation_config, distillation_tasks, frame_of
from probe.distillation.explained import row_divergences, share_explained, taught_rows
from probe.models import FrozenModel, load_model
from probe.prompt import SoftPrompt
from probe.readings.promoted import promoted_tokens
from probe.task import Example, Task
from probe.training import train

TEXTS = Path(__file__).parents[2] / "probe" / "distillation" / "texts.jsonl"
UNRELATED = "text:The office on the second floor will be closed until further notice."
CONDITIONS: dict[str, dict[str, Any]] = {
    "base": {},
    "nothing": {"control": "nothing"},
    "length_1": {"length": 1},
    "length_20": {"length": 20},
    "start_text": {"init": UNRELATED},
    "rate_0.005": {"learning_rate": 0.005},
    "rate_0.05": {"learning_rate": 0.05},
    "length_4": {"length": 4},
    "shuffled": {"control": "shuffled"},
    "steps_15": {"steps": 15},
    "steps_200": {"steps": 200},
    "start_random": {"init": "random"},
}
_TOP = 50


def read_texts(count: int | None = None) -> list[str]:
    """The known texts, in order."""
    lines = TEXTS.read_text(encoding="utf-8").splitlines()[:count]
    return [json.loads(line)["text"] for line in lines]


def tasks_of(
    model: FrozenModel, texts: Sequence[str], seed: int, contexts: int | None, out: Path
) -> list[Task]:
    """Contexts with the teacher's answers, kept in the folder once they are sampled."""
    path = out / f"answers-{seed}.json"
    frame = frame_of(model)
    if not path.exists():
        from probe.distillation import default_contexts

        made = distillation_tasks(
            model, texts, frame, length=8, seed=seed, contexts=default_contexts()[:contexts]
        )
        splits = [
            {
                split: [[e.text, e.target] for e in getattr(task, split)]
                for split in ("train", "test")
            }
            for task in made
        ]
        path.write_text(json.dumps(splits), encoding="utf-8")
    return [
        Task(
            "distilled",
            "generation",
            frame.with_rows(8),
            metric="rouge_l",
            train=[Example(text, target=target) for text, target in one["train"]],
            test=[Example(text, target=target) for text, target in one["test"]],
        )
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]


def trained(
    model: FrozenModel,
    texts: Sequence[str],
    tasks: Sequence[Task],
    seed: int,
    asked: dict[str, Any],
) -> list[SoftPrompt]:
    """One prompt per text, all in one pass."""
    others = {key: value for key, value in asked.items() if key not in ("control", "length")}
    control, length = asked.get("control"), asked.get("length", 8)
    tasks = _placed(model, tasks, length)
    if control == "shuffled":
        tasks = [_shuffled(task, seed) for task in tasks]
    configs = [
        distillation_config(
            "" if control == "nothing" else text, length, seed=1000 * seed + number, **others
        )
        for number, text in enumerate(texts)
    ]
    training = train(model, tasks, configs)
    for _ in training:
        pass
    return training.prompts  # type: ignore[return-value]


def _placed(model: FrozenModel, tasks: Sequence[Task], length: int) -> list[Task]:
    template = frame_of(model).with_rows(length)
    return [dataclasses.replace(task, template=template) for task in tasks]


def _shuffled(task: Task, seed: int) -> Task:
    """Every context with the answer of another."""
    order = np.random.default_rng(seed).permutation(len(task.train))
    examples = [
        dataclasses.replace(example, target=task.train[j].target)
        for example, j in zip(task.train, order, strict=True)
    ]
    return dataclasses.replace(task, train=examples)


def measured(
    model: FrozenModel,
    texts: Sequence[str],
    tasks: Sequence[Task],
    prompts: Sequence[SoftPrompt],
    at_once: int,
) -> list[dict[str, Any]]:
    """Of every prompt: the share explained on held-out contexts, and what it promotes there."""
    length = len(prompts[0])
    tasks = _placed(model, tasks, length)
    contexts = [example.text for example in tasks[0].test][:8]
    promoted = promoted_tokens(
        model, prompts, tasks[0].template, contexts, answer_tokens=24, rows_at_once=at_once
    )
    found = []
    for text, task, prompt, says in zip(texts, tasks, prompts, promoted, strict=True):
        rows = taught_rows(model, task, text, task.test)
        shares = share_explained(
            row_divergences(model, rows, prompt), row_divergences(model, rows, None)
        )
        top = says.top(_TOP)
        found.append(
            {
                "explained": shares.to_json(),
                "promoted": top.tolist(),
                "promoted_nats": [round(float(x), 6) for x in says.scores_nats[top]],
                "suppressed": says.bottom(_TOP).tolist(),
                "answers": list(says.answers[:3]),
            }
        )
    return found


def train_conditions(model: FrozenModel, args: argparse.Namespace) -> None:
    """Train what is missing."""
    texts = read_texts(args.texts)
    for name in args.conditions:
        path = args.out / f"{name}.safetensors"
        if path.exists():
            continue
        began = time.perf_counter()
        prompts: list[SoftPrompt] = []
        for seed in range(args.seeds):
            tasks = tasks_of(model, texts, seed, args.contexts, args.out)
            prompts += trained(model, texts, tasks, seed, CONDITIONS[name])
        starts = [prompt.init_token_ids for prompt in prompts]
        aside = path.with_suffix(".partial")
        save_file(
            {"rows": np.stack([prompt.embeddings for prompt in prompts])},
            aside,
            {"starts": json.dumps(starts), "model": args.model, "condition": name},
        )
        os.replace(aside, path)
        print(f"{name}: {len(prompts)} prompts, {time.perf_counter() - began:.0f} s", flush=True)


def measure_conditions(model: FrozenModel, args: argparse.Namespace) -> None:
    """Measure what is trained and not measured."""
    texts = read_texts(args.texts)
    for name in args.conditions:
        source, path = args.out / f"{name}.safetensors", args.out / f"{name}.json"
        if path.exists() or not source.exists():
            continue
        began = time.perf_counter()
        with safe_open(source, "np") as file:
            rows = file.get_tensor("rows")
        found = []
        for seed in range(len(rows) // len(texts)):
            tasks = tasks_of(model, texts, seed, args.contexts, args.out)
            own = rows[seed * len(texts) : (seed + 1) * len(texts)]
            prompts = [SoftPrompt(f"{name}-{number}", one) for number, one in enumerate(own)]
            found += measured(model, texts, tasks, prompts, args.at_once)
            print(f"{name} seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)
        aside = path.with_suffix(".partial")
        aside.write_text(json.dumps({"condition": name, "model": args.model, "prompts": found}))
        os.replace(aside, path)
        share = np.mean([one["explained"]["share"] for one in found])
        print(f"{name}: mean share explained {share:.3f}", flush=True)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("step", choices=("train", "measure"))
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=CONDITIONS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--texts", type=int, help="only so many of the known texts")
    parser.add_argument("--contexts", type=int, help="only so many of the shipped contexts")
    parser.add_argument("--at-once", type=int, default=16, help="rows when answers are written")
    parser.add_argument("--dtype", default=None)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = load_model(args.model, dtype=args.dtype)
    (train_conditions if args.step == "train" else measure_conditions)(model, args)


if __name__ == "__main__":
    main()
