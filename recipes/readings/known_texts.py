"""Distil every known text under several conditions, and keep rows, starts and what they promote.

    python -m recipes.readings.known_texts --model smollm2 --out build/readings

A condition that is in the folder already is left alone. `read.py` scores what is kept.
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
from safetensors.numpy import save_file

from probe.distillation import distillation_config, distillation_tasks, frame_of
from probe.distillation.explained import row_divergences, share_explained, taught_rows
from probe.models import FrozenModel, load_model
from probe.prompt import SoftPrompt
from probe.readings.promoted import promoted_tokens
from probe.task import Task
from probe.training import train

TEXTS = Path(__file__).parents[2] / "probe" / "distillation" / "texts.jsonl"
UNRELATED = "text:The office on the second floor will be closed until further notice."
CONDITIONS: dict[str, dict[str, Any]] = {
    "base": {},
    "nothing": {"control": "nothing"},
    "shuffled": {"control": "shuffled"},
    "start_text": {"init": UNRELATED},
    "rate_0.005": {"learning_rate": 0.005},
    "rate_0.05": {"learning_rate": 0.05},
    "length_1": {"length": 1},
    "length_4": {"length": 4},
    "length_20": {"length": 20},
    "steps_15": {"steps": 15},
    "steps_200": {"steps": 200},
    "start_random": {"init": "random"},
    "p_tuning": {"method": "p_tuning", "init": "vocab", "learning_rate": 0.003},
    "mixed_rate_0.15": {"learning_rate": 0.15},
}
_TOP = 50


def condition_prompts(
    model: FrozenModel,
    texts: Sequence[str],
    tasks: Sequence[Task],
    seed: int,
    asked: dict[str, Any],
) -> tuple[list[SoftPrompt], list[str]]:
    """Train one prompt per text at once; the prompts, and the text each teacher read."""
    asked = dict(asked)
    control = asked.pop("control", None)
    length = asked.pop("length", 8)
    frame = frame_of(model)
    tasks = [dataclasses.replace(task, template=frame.with_rows(length)) for task in tasks]
    teachers = ["" if control == "nothing" else text for text in texts]
    if control == "shuffled":
        tasks = [_shuffled(task, seed) for task in tasks]
    configs = [
        distillation_config(teacher, length, seed=1000 * seed + number, **asked)
        for number, teacher in enumerate(teachers)
    ]
    training = train(model, tasks, configs)
    for step in training:
        if step.prompt == 0 and step.step % 20 == 0:
            print(f"step {step.step} loss {step.loss_nats:.3f}", flush=True)
    return training.prompts, teachers  # type: ignore[return-value]


def _shuffled(task: Task, seed: int) -> Task:
    order = np.random.default_rng(seed).permutation(len(task.train))
    examples = [
        dataclasses.replace(example, target=task.train[j].target)
        for example, j in zip(task.train, order, strict=True)
    ]
    return dataclasses.replace(task, train=examples)


def records(
    model: FrozenModel,
    texts: Sequence[str],
    tasks: Sequence[Task],
    prompts: Sequence[SoftPrompt],
    seed: int,
    at_once: int,
) -> list[dict[str, Any]]:
    """What is known of every prompt: shares explained on held-out contexts, promoted tokens."""
    length = len(prompts[0])
    frame = frame_of(model).with_rows(length)
    contexts = [example.text for example in tasks[0].test]
    promoted = promoted_tokens(model, prompts, frame, contexts, rows_at_once=at_once)
    found = []
    for number, (text, task, prompt, says) in enumerate(
        zip(texts, tasks, prompts, promoted, strict=True)
    ):
        task = dataclasses.replace(task, template=frame)
        rows = taught_rows(model, task, text, task.test)
        shares = share_explained(
            row_divergences(model, rows, prompt), row_divergences(model, rows, None)
        )
        found.append(
            {
                "text": number,
                "seed": seed,
                "start": None if prompt.init_token_ids is None else list(prompt.init_token_ids),
                "explained": shares.to_json(),
                "promoted": says.top(_TOP).tolist(),
                "promoted_nats": says.scores_nats[says.top(_TOP)].tolist(),
                "suppressed": says.bottom(_TOP).tolist(),
                "answers": list(says.answers[:4]),
            }
        )
    return found


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=CONDITIONS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--texts", type=int, help="only so many of the known texts")
    parser.add_argument("--at-once", type=int, default=256, help="rows when answers are written")
    parser.add_argument("--dtype", default=None)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = load_model(args.model, dtype=args.dtype)
    lines = TEXTS.read_text(encoding="utf-8").splitlines()[: args.texts]
    texts = [json.loads(line)["text"] for line in lines]
    frame = frame_of(model)
    kept: dict[int, list[Task]] = {}
    for name in args.conditions:
        path = args.out / f"{name}.json"
        if path.exists():
            continue
        began = time.perf_counter()
        rows, found = [], []
        for seed in range(args.seeds):
            if seed not in kept:
                kept[seed] = distillation_tasks(model, texts, frame, length=8, seed=seed)
                print(f"answers after {time.perf_counter() - began:.0f} s", flush=True)
            prompts, _ = condition_prompts(model, texts, kept[seed], seed, CONDITIONS[name])
            print(
                f"{name} seed {seed}: trained after {time.perf_counter() - began:.0f} s", flush=True
            )
            found += records(model, texts, kept[seed], prompts, seed, args.at_once)
            rows += [prompt.embeddings for prompt in prompts]
        save_file({"rows": np.stack(rows)}, args.out / f"{name}.safetensors")
        aside = path.with_suffix(".partial")
        aside.write_text(json.dumps({"condition": name, "model": args.model, "prompts": found}))
        os.replace(aside, path)
        share = np.mean([one["explained"]["share"] for one in found])
        took = time.perf_counter() - began
        print(f"{name}: mean share explained {share:.3f}, {took:.0f} s", flush=True)


if __name__ == "__main__":
    main()
