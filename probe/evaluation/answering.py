"""What a frozen model answers, for many prompts and examples in the same batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probe.errors import DataError
from probe.evaluation.conditions import Condition
from probe.models import FrozenModel, Injection, Row, prepare
from probe.prompt import KVPrefix
from probe.task import Example

_BATCH = {"cpu": 64}
_BATCH_ELSEWHERE = 512

Ask = Callable[[Injection, Sequence[Row], Tensor], Tensor | list[str]]
"""One question to the model about a batch of rows."""
Watch = Callable[[float], None]
"""Told after every batch which share of the answers is there, in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What one condition brought, example by example."""

    condition: Condition
    losses_nats: NDArray[np.float64]
    """[n], per token of the right label or target."""
    scores: NDArray[np.float64] | None = None
    """[n, labels] log-likelihood of every label word in nats; None for generation tasks."""
    predicted: NDArray[np.int64] | None = None
    """[n] labels; None for generation tasks."""
    texts: tuple[str, ...] = ()
    """[n] generated; empty for classification tasks."""


def answer(
    model: FrozenModel,
    conditions: Sequence[Condition],
    examples: Sequence[Example],
    watch: Watch = lambda _: None,
) -> list[Answers]:
    """Put every example to the model under every condition; batches mix the conditions.

    A generation task is answered as far as the longest target goes; `watch` follows the writing.

    Raises:
        DataError: there are no examples.
        InjectionError: a prompt does not fit the model.
        RowError: a template or label does not.
    """
    if not examples:
        raise DataError("there are no examples to answer: choose another split")
    rows = [_rows(model, condition, examples) for condition in conditions]
    if all(condition.task.kind == "classification" for condition in conditions):
        every = _scores(model, conditions, rows, watch)
        return [
            _classified(model, condition, own, scores)
            for condition, own, scores in zip(conditions, rows, every, strict=True)
        ]
    losses = _batched(model, conditions, rows, model.losses)
    longest = max(len(row.options[0]) for own in rows for row in own)
    asked = [examples] * len(conditions)
    texts = generate(model, conditions, asked, max_new_tokens=longest, watch=watch)
    return [
        Answers(condition, np.array(own), texts=tuple(written))
        for condition, own, written in zip(conditions, losses, texts, strict=True)
    ]


def label_scores(
    model: FrozenModel, conditions: Sequence[Condition], texts: Sequence[Sequence[str | Example]]
) -> list[NDArray[np.float64]]:
    """Log-likelihood in nats of every label, one [n, labels] for the texts of each condition.

    Raises:
        InjectionError: a prompt does not fit the model.
        RowError: a template or label does not.
    """
    rows = [
        _rows(model, condition, [_example(text) for text in own])
        for condition, own in zip(conditions, texts, strict=True)
    ]
    return _scores(model, conditions, rows)


def generate(
    model: FrozenModel,
    conditions: Sequence[Condition],
    texts: Sequence[Sequence[str | Example]],
    *,
    max_new_tokens: int = 32,
    watch: Watch = lambda _: None,
) -> list[list[str]]:
    """What the model writes after each text of each condition, one list per condition.

    Raises:
        InjectionError: a prompt does not fit the model, or cannot be read while it writes.
    """
    rows = [
        _writing_rows(model, condition, own, max_new_tokens)
        for condition, own in zip(conditions, texts, strict=True)
    ]

    def ask(injection: Injection, batch: Sequence[Row], which: Tensor) -> list[str]:
        return model.generate_rows(injection, batch, which, max_new_tokens)

    written: list[list[str]] = _batched(model, conditions, rows, ask, watch)
    return written


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each label among the labels, [n, labels], from log-likelihoods."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _example(text: str | Example) -> Example:
    return Example(text) if isinstance(text, str) else text


def _rows(model: FrozenModel, condition: Condition, examples: Sequence[Example]) -> list[Row]:
    return prepare(
        model,
        condition.task,
        examples,
        objective=condition.objective,
        prompt_length=condition.length,
    )


def _writing_rows(
    model: FrozenModel, condition: Condition, texts: Sequence[str | Example], max_new_tokens: int
) -> list[Row]:
    """The template up to where the label would stand."""
    task = replace(condition.task, kind="generation", train=(), validation=(), test=())
    examples = [replace(_example(text), label=None, target=None) for text in texts]
    return prepare(
        model,
        task,
        examples,
        objective=condition.objective,
        prompt_length=condition.length,
        new_tokens=max_new_tokens,
    )


def _scores(
    model: FrozenModel,
    conditions: Sequence[Condition],
    rows: Sequence[Sequence[Row]],
    watch: Watch = lambda _: None,
) -> list[NDArray[np.float64]]:
    """[n, labels] per condition; a batch pads rows to the most labels in it, which is cut off."""
    every = _batched(model, conditions, rows, model.label_scores, watch)
    return [
        np.stack([one[: len(condition.task.label_words)] for one in scores])
        for condition, scores in zip(conditions, every, strict=True)
    ]


def _classified(
    model: FrozenModel, condition: Condition, rows: Sequence[Row], scores: NDArray[np.float64]
) -> Answers:
    right = np.array([row.label for row in rows])
    tokens = [model.label_tokens(row) for row in rows]
    losses = -scores[np.arange(len(rows)), right] / tokens
    return Answers(condition, losses, scores, scores.argmax(axis=1))


@torch.no_grad()
def _batched(
    model: FrozenModel,
    conditions: Sequence[Condition],
    rows: Sequence[Sequence[Row]],
    ask: Ask,
    watch: Watch = lambda _: None,
) -> list[list[Any]]:
    """Answers to every condition's rows, asked in batches of like length whatever the condition."""
    found: list[list[Any]] = [[None] * len(own) for own in rows]
    size = _BATCH.get(model.device.type, _BATCH_ELSEWHERE)
    answered, asked = 0, sum(map(len, rows))
    for group in _groups(conditions):
        injection = model.injection_of([conditions[k].prompt for k in group])
        places = [(slot, i) for slot, k in enumerate(group) for i in range(len(rows[k]))]
        places.sort(key=lambda place: len(rows[group[place[0]]][place[1]]))
        for start in range(0, len(places), size):
            batch = places[start : start + size]
            which = torch.tensor([slot for slot, _ in batch])
            answers = ask(injection, [rows[group[slot]][i] for slot, i in batch], which)
            plain = answers.double().cpu().numpy() if isinstance(answers, Tensor) else answers
            for (slot, i), one in zip(batch, plain, strict=True):
                found[group[slot]][i] = one
            answered += len(batch)
            watch(answered / asked)
    return found


def _groups(conditions: Sequence[Condition]) -> list[list[int]]:
    """Ways that a batch can mix: key/value prefixes and rows of embeddings do not."""
    prefixes = [
        k for k, condition in enumerate(conditions) if isinstance(condition.prompt, KVPrefix)
    ]
    others = [k for k in range(len(conditions)) if k not in prefixes]
    return [group for group in (others, prefixes) if group]
