"""What analyses ask of a model, from a frozen model: scores of labels and continuations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from probe.models.frozen import FrozenModel
from probe.models.prepare import prepare
from probe.models.rows import Objective
from probe.protocols import Generate, ModelPrompt, Score
from probe.task import Example, Task


def scorer(
    model: FrozenModel, task: Task, *, objective: Objective = "full", batch_size: int = 32
) -> Score:
    """A function from a prompt and examples to log-likelihoods of labels in nats, [n, labels].

    Rows of similar length share a batch.
    """

    @torch.no_grad()
    def score(prompt: ModelPrompt, examples: Sequence[Example]) -> NDArray[np.float64]:
        injection = model.injection_of([prompt])
        length = injection.longest
        rows = prepare(model, task, examples, objective=objective, prompt_length=length)
        scores = np.empty((len(rows), len(task.label_words)))
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            found = model.label_scores(injection, [rows[i] for i in batch])
            scores[batch] = found.double().cpu().numpy()
        return scores

    return score


def generator(model: FrozenModel, *, max_new_tokens: int = 32, batch_size: int = 16) -> Generate:
    """A function from a prompt and texts to one greedy continuation per text."""

    def generate(prompt: ModelPrompt, texts: Sequence[str]) -> list[str]:
        injection = model.injection_of([prompt])
        batches = [texts[i : i + batch_size] for i in range(0, len(texts), batch_size)]
        return [
            written
            for batch in batches
            for written in model.generate(injection, batch, max_new_tokens=max_new_tokens)
        ]

    return generate
