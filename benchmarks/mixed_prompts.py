"""Mixed-task inference: K prompts on the same few texts in one batch, against one call per prompt.

The sample prompts of rows of the built-in model, one for each classification task:
label scores and 16 new tokens each, answers compared.
Processor time of one thread, so that whatever else the machine does counts less; calls interleaved.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from report import publish, table

from probe.evaluation import Condition, generate, label_scores
from probe.models import FrozenModel, load_model
from probe.prompt import SoftPrompt
from probe.store import sample_folders
from probe.task import Task
from probe.verbs.loading import load

TEXTS = [
    "A wonderful , touching film with a great cast .",
    "Stocks fell sharply on Monday as oil prices rose .",
    "Who wrote the first novel about the sea ?",
    "The film follows a family that moves to a small town in the north .",
]
NEW_TOKENS = 16


def main() -> None:
    """Time both for several numbers of texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, conditions = load_model("builtin", device="cpu"), _conditions()
    rows = [_row(model, conditions, texts, args.rounds) for texts in (1, 2, 4)]
    header = ["texts", "prompts", "predict: separate s", "together s", "ratio"]
    header += ["generate: separate s", "together s", "ratio"]
    note = (
        f"Medians of {args.rounds} interleaved rounds, processor time of one thread. Label scores "
        f"agree to 1e-4, the {NEW_TOKENS} generated tokens exactly."
    )
    text = f"{table(header, rows)}\n\n{note}"
    publish("mixed_prompts", "Several prompts in one batch", text, "torch", write=args.write)


def _conditions() -> list[Condition]:
    conditions = []
    for name in sample_folders():
        (prompt,) = load(name)
        words = tuple(prompt.config.get("label_words", ()))
        # Key/value prefixes have batches of their own, and generation tasks no label words.
        if isinstance(prompt, SoftPrompt) and prompt.base_model == "builtin" and words:
            task = Task(name, "classification", prompt.config["template"], words)
            conditions.append(Condition(name, task, prompt))
    return conditions


def _row(model: FrozenModel, conditions: list[Condition], count: int, rounds: int) -> list[str]:
    texts = TEXTS[:count]
    cells = [str(count), str(len(conditions))]
    for ask in (
        lambda some: label_scores(model, some, [texts] * len(some)),
        lambda some: generate(model, some, [texts] * len(some), max_new_tokens=NEW_TOKENS),
    ):
        separate, together = _race(ask, conditions, rounds)
        cells += [f"{separate:.3f}", f"{together:.3f}", f"{separate / together:.2f}"]
    return cells


def _race(
    ask: Callable[[list[Condition]], list[Any]], conditions: list[Condition], rounds: int
) -> tuple[float, float]:
    """Median seconds of one call per prompt, and of one call for all."""
    times: dict[str, list[float]] = {"separate": [], "together": []}
    for _ in range(rounds):
        start = time.process_time()
        alone = [ask([dataclasses.replace(condition)])[0] for condition in conditions]
        middle = time.process_time()
        mixed = ask(conditions)
        times["separate"].append(middle - start)
        times["together"].append(time.process_time() - middle)
        for one, other in zip(alone, mixed, strict=True):
            if isinstance(one, list):
                assert one == other
            else:
                np.testing.assert_allclose(one, other, atol=1e-4)
    return statistics.median(times["separate"]), statistics.median(times["together"])


if __name__ == "__main__":
    main()
