"""Which tokens does a prompt make the model say, and which does it keep it from saying?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from probe.distillation import default_contexts, frame_of
from probe.distillation.answers import HELD_OUT
from probe.errors import NotDecodableError
from probe.models import CausalModel, FrozenModel, Injection, Row, prepare
from probe.models.language import LanguageModel
from probe.prompt import AnyPrompt
from probe.readings.controls import control_statistics, judged, trained_as_controls
from probe.readings.reading import TOKENS, Reading, Subject
from probe.task import Example, Task

_ROWS_AT_ONCE = 16
_CONTEXTS, _ANSWER_TOKENS = 8, 24
"""As the controls and the hit rate were measured."""


@dataclass(frozen=True, eq=False)
class Promoted:
    """Contributions of tokens to what a prompt changes."""

    scores_nats: NDArray[np.float32]
    """[V] mean over positions of p(v) · (log p(v) - log p₀(v)), where p reads the prompt and p₀
    nothing in its place; its sum is KL(p ‖ p₀)."""
    answers: tuple[str, ...]
    """What the model answers with the prompt, context by context."""

    def top(self, k: int) -> NDArray[np.int64]:
        """Ids of the tokens promoted most, [k]."""
        return np.argsort(-self.scores_nats, kind="stable")[:k]

    def bottom(self, k: int) -> NDArray[np.int64]:
        """Ids of the tokens suppressed most, [k]."""
        return np.argsort(self.scores_nats, kind="stable")[:k]


def held_out_contexts() -> list[str]:
    """The shipped contexts that no prompt is distilled on."""
    contexts = default_contexts()
    return contexts[-round(HELD_OUT * len(contexts)) :]


def frame_template(model: FrozenModel, length: int) -> str:
    """The template that a prompt of P rows distilled on this model stands in."""
    return frame_of(model).with_rows(length)


def causal_model(subject: Subject, what: str) -> CausalModel:
    """The model a prompt is read with.

    Raises:
        NotDecodableError: it writes no text, or is not here.
    """
    model = subject.model
    if not isinstance(model, CausalModel):
        named = subject.vocabulary.name if model is None else f"{model.name} ({model.family})"
        raise NotDecodableError(f"{what} a causal language model, found {named}")
    return model


def read_promoted(subject: Subject) -> Reading:
    """The tokens through which a prompt changes the model's answers to shipped questions.

    Raises:
        NotDecodableError: the model writes no text, or is not here.
    """
    model, prompt = causal_model(subject, "promoted tokens need"), subject.prompt
    own = frame_template(model, len(prompt))
    template = subject.template or own
    (found,) = promoted_tokens(
        model,
        [prompt],
        template,
        held_out_contexts()[:_CONTEXTS],
        answer_tokens=_ANSWER_TOKENS,
    )
    ids, least = found.top(3 * TOKENS), found.bottom(TOKENS)
    # Controls were measured in the frame of distilled prompts alone.
    alike = template == own and trained_as_controls(prompt)
    length = len(prompt) if alike else 0
    controls = control_statistics("promoted", subject.vocabulary, length, subject.rates)
    return Reading(
        "promoted",
        tokens=subject.tokens(ids[:TOKENS], found.scores_nats[ids[:TOKENS]]),
        text=", ".join(subject.words(ids)[:TOKENS]),
        suppressed=subject.tokens(least, found.scores_nats[least]),
        **judged(float(found.scores_nats[ids[0]]), controls)._asdict(),
    )


@torch.no_grad()
def promoted_tokens(
    model: LanguageModel,
    prompts: Sequence[AnyPrompt],
    template: str,
    contexts: Sequence[str],
    *,
    answer_tokens: int = 32,
    rows_at_once: int = _ROWS_AT_ONCE,
) -> list[Promoted]:
    """What K prompts change in the model's own answers to contexts.

    Every prompt's answers are written with it (greedily) and scored with it and without it.

    Args:
        model: a causal language model.
        prompts: K prompts of one length.
        template: a task template with a `{prompt:P}` slot, or none for prompts in front.
        contexts: what is put to the model.
        answer_tokens: the longest answer.
        rows_at_once: contexts and prompts run in one pass.

    Raises:
        InjectionError: the prompts do not fit.
    """
    injection = model.injection_of(prompts)
    asked = Task("asked", "generation", template)
    examples = [Example(context) for context in contexts]
    rows = prepare(
        model, asked, examples, prompt_length=injection.longest, new_tokens=answer_tokens
    )
    pairs = [(k, row) for k in range(len(prompts)) for row in rows]
    sums = torch.zeros(len(prompts), model.vocabulary_size, device=model.device)
    counts = torch.zeros(len(prompts), device=model.device)
    answers: list[str] = []
    for start in range(0, len(pairs), rows_at_once):
        batch = pairs[start : start + rows_at_once]
        which = torch.tensor([k for k, _ in batch])
        written = model.generate_rows(
            injection, [row for _, row in batch], which, max_new_tokens=answer_tokens
        )
        answers += written
        filled = [
            dataclasses.replace(row, options=(answer_ids(model, text),), label=0)
            for (_, row), text in zip(batch, written, strict=True)
        ]
        _add(model, injection, filled, which, sums, counts)
    scores = (sums / counts[:, None]).cpu().numpy()
    size = len(rows)
    return [
        Promoted(scores[k], tuple(answers[k * size : (k + 1) * size])) for k in range(len(prompts))
    ]


def answer_ids(model: FrozenModel, text: str) -> tuple[int, ...]:
    """The tokens of an answer; its end, where it is nothing."""
    return tuple(model.tokenizer(text, add_special_tokens=False)["input_ids"] or model.stops[:1])


def _add(
    model: LanguageModel,
    injection: Injection,
    rows: Sequence[Row],
    which: Tensor,
    sums: Tensor,
    counts: Tensor,
) -> None:
    logits, owners = model.target_logits(injection, rows, which)
    alone, _ = model.target_logits(None, [dataclasses.replace(row, slots=()) for row in rows])
    logs = torch.log_softmax(logits, -1)
    shares = logs.exp() * (logs - torch.log_softmax(alone, -1))
    prompt = which.to(owners.device)[owners]
    sums.index_add_(0, prompt, shares)
    counts.index_add_(0, prompt, torch.ones_like(prompt, dtype=counts.dtype))
