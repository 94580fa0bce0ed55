"""Plug-in score: how much of a prompt's own effect a text has in its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from probe.distillation.explained import Explained, row_divergences, share_explained
from probe.errors import NotDecodableError, ProbeError
from probe.models import CausalModel, FrozenModel, Row, prepare
from probe.models.generation import sampling
from probe.prompt import AnyPrompt
from probe.readings.promoted import frame_template, held_out_contexts
from probe.results import Result
from probe.task import Example, Task
from probe.training.teachers import taught_by_prompt

_ANSWER_TOKENS = 24
_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class TextScore(Result):
    """A text in a prompt's place."""

    text: str
    explained: Explained
    """Its KL₀ is the effect of the prompt itself."""

    def _document(self) -> dict[str, Any]:
        return {"text": self.text, **self.explained.to_json()}


def score_texts(
    model: FrozenModel,
    prompt: AnyPrompt,
    texts: Sequence[str],
    *,
    template: str | None = None,
    contexts: Sequence[str] | None = None,
    answer_tokens: int = _ANSWER_TOKENS,
    seed: int = 0,
) -> list[TextScore]:
    """The share of a prompt's effect that each of several texts has in its place.

    The model answers contexts with the prompt, the answers drawn from its distribution; the share
    is 1 - KL(prompt ‖ text) / KL(prompt ‖ nothing) per token of these answers.

    Args:
        model: a causal language model.
        prompt: that the model reads.
        texts: that stand in the prompt's place.
        template: what the model reads; the frame of distilled prompts when None.
        contexts: what is put to the model; the shipped questions that no prompt is distilled on
            when None.
        answer_tokens: the longest answer.
        seed: of the answers and the intervals.

    Raises:
        NotDecodableError: the model is no causal language model.
        ProbeError: a text is empty, or the prompt does not fit.
    """
    if not isinstance(model, CausalModel):
        raise NotDecodableError(
            f"texts are scored on causal language models, found {model.name} ({model.family})"
        )
    if any(not text.strip() for text in texts):
        raise ProbeError("expected a text to score, found an empty one")
    asked = held_out_contexts() if contexts is None else contexts
    task = Task("asked", "generation", template or frame_template(model, len(prompt)))
    rows = _taught_rows(model, prompt, task, asked, answer_tokens, seed)
    without = row_divergences(model, rows, None)
    return [
        TextScore(text, share_explained(row_divergences(model, rows, text), without, seed=seed))
        for text in texts
    ]


@torch.no_grad()
def _taught_rows(
    model: FrozenModel,
    prompt: AnyPrompt,
    task: Task,
    contexts: Sequence[str],
    answer_tokens: int,
    seed: int,
) -> list[Row]:
    """Contexts with answers of the model that reads the prompt, and what it expects there."""
    injection = model.injection_of([prompt])
    room = injection.longest + answer_tokens
    rows = prepare(model, task, [Example(text) for text in contexts], prompt_length=room)
    pick = sampling(1.0, seed)
    answers: list[str] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        batch = rows[start : start + _ROWS_AT_ONCE]
        answers += model.generate_rows(injection, batch, max_new_tokens=answer_tokens, pick=pick)
    answered = [
        dataclasses.replace(row, options=(_ids(model, text),), label=0, objective="distill")
        for row, text in zip(rows, answers, strict=True)
    ]
    return taught_by_prompt(model, answered, injection)


def _ids(model: FrozenModel, text: str) -> tuple[int, ...]:
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"] or model.stops[:1]
    return tuple(ids)
