"""Plug-in score: how much of a prompt's own effect a text has in its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from probe.distillation.answers import sampled_answers
from probe.distillation.explained import Explained, row_divergences, share_explained
from probe.errors import NotDecodableError, ProbeError
from probe.models import CausalModel, FrozenModel, Row, prepare
from probe.prompt import AnyPrompt
from probe.readings.promoted import answer_ids, frame_template, held_out_contexts
from probe.results import Result
from probe.task import Example, Task
from probe.training.data import taught_by_prompt

_ANSWER_TOKENS = 24
_LEAST_NATS = 1e-4
"""Of a prompt's effect: what is less may be rounding."""
_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class TextScore(Result):
    """A text in a prompt's place."""

    text: str
    explained: Explained
    """Its KL₀ is the effect of the prompt itself."""
    _whole: ClassVar[str] = "explained"


@dataclass(frozen=True, eq=False)
class Effect:
    """What a prompt does on contexts, against which any number of texts are scored."""

    rows: tuple[Row, ...]
    """Contexts with the answers given with the prompt, and what the model expects there."""
    without: NDArray[np.float64]
    """KL(prompt ‖ nothing) of each context per token of its answer, [n]."""
    seed: int

    def score(self, model: FrozenModel, text: str) -> TextScore:
        """The share of the effect that a text has in the prompt's place.

        Raises:
            NotDecodableError: the prompt has no effect that a text could have a share of.
            ProbeError: the text is empty.
        """
        if not text.strip():
            raise ProbeError("expected a text to score, found an empty one")
        if (effect := float(self.without.mean())) < _LEAST_NATS:
            raise NotDecodableError(
                f"the prompt changes the model's answers by {effect:.1g} nats per token, too "
                "little for a text to have a share of that: score no texts with it"
            )
        own = row_divergences(model, self.rows, text)
        return TextScore(text, share_explained(own, self.without, seed=self.seed))


def score_texts(
    model: FrozenModel, prompt: AnyPrompt, texts: Sequence[str], **others: Any
) -> list[TextScore]:
    """The share of a prompt's effect that each of several texts has in its place.

    Args:
        model: a causal language model.
        prompt: that the model reads.
        texts: that stand in the prompt's place.
        others: as `effect_of` takes them.

    Raises:
        NotDecodableError: the model is no causal language model, or the prompt has no effect.
        ProbeError: a text is empty, or the prompt does not fit.
    """
    if any(not text.strip() for text in texts):
        raise ProbeError("expected a text to score, found an empty one")
    effect = effect_of(model, prompt, **others)
    return [effect.score(model, text) for text in texts]


def random_tokens(model: FrozenModel, count: int, seed: int) -> str:
    """A text of so many tokens drawn at random; empty where these are nothing but space."""
    tokenizer = model.tokenizer
    allowed = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
    drawn = np.random.default_rng(seed).choice(allowed, count)
    return str(tokenizer.decode(drawn.tolist())).strip()


def token_count(model: FrozenModel, text: str) -> int:
    """Tokens of a text, one at least."""
    return max(1, len(model.tokenizer(text, add_special_tokens=False)["input_ids"]))


def effect_of(
    model: FrozenModel,
    prompt: AnyPrompt,
    *,
    template: str | None = None,
    contexts: Sequence[str] | None = None,
    answer_tokens: int = _ANSWER_TOKENS,
    seed: int = 0,
) -> Effect:
    """What a prompt does on contexts.

    The model answers contexts with the prompt, the answers drawn from its distribution; the share
    that a text has of that is 1 - KL(prompt ‖ text) / KL(prompt ‖ nothing) per token of these
    answers.

    Args:
        model: a causal language model.
        prompt: that the model reads.
        template: what the model reads; the frame of distilled prompts when None.
        contexts: what is put to the model; the shipped questions that no prompt is distilled on
            when None.
        answer_tokens: the longest answer.
        seed: of the answers and the intervals.

    Raises:
        NotDecodableError: the model is no causal language model.
        ProbeError: the prompt does not fit.
    """
    if not isinstance(model, CausalModel):
        raise NotDecodableError(
            f"texts are scored on causal language models, found {model.name} ({model.family})"
        )
    asked = held_out_contexts() if contexts is None else contexts
    task = Task("asked", "generation", template or frame_template(model, len(prompt)))
    rows = _taught_rows(model, prompt, task, asked, answer_tokens, seed)
    return Effect(tuple(rows), row_divergences(model, rows, None), seed)


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
    answers = sampled_answers(
        model, injection, rows, answer_tokens=answer_tokens, seed=seed, at_once=_ROWS_AT_ONCE
    )
    answered = [
        dataclasses.replace(row, options=(answer_ids(model, text),), label=0, objective="distill")
        for row, text in zip(rows, answers, strict=True)
    ]
    return taught_by_prompt(model, answered, injection)
