"""Answers sampled once from the model that reads a text, kept as the targets of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probe.distillation.contexts import default_contexts
from probe.distillation.frames import Frame
from probe.errors import TrainingError
from probe.models import FrozenModel, Injection, Row, prepare
from probe.models.generation import sampling
from probe.task import Example, Task
from probe.training import TrainConfig

HELD_OUT = 0.25
"""Share of the contexts that no prompt is trained on: what is learned of the text shows there."""
DEFAULTS: dict[str, Any] = {
    "steps": 60,
    "batch_size": 8,
    "learning_rate": 0.02,
    "schedule": "constant",
    "eval_every": 0,
}
_ROWS_AT_ONCE = {"cpu": 32, "gpu": 1024}


def distillation_tasks(
    model: FrozenModel,
    texts: Sequence[str],
    frame: Frame,
    *,
    length: int,
    contexts: Sequence[str] | None = None,
    answer_tokens: int = 32,
    seed: int = 0,
) -> list[Task]:
    """Contexts and the answers that the model gives them when it reads each of K texts.

    Args:
        model: the teacher.
        texts: what is to be distilled.
        frame: where text and contexts stand.
        length: prompt rows, P, that will stand in the text's place.
        contexts: questions or documents; the shipped questions when None. The last quarter is held
            out as the test split.
        answer_tokens: the longest answer.
        seed: of the draws.

    Raises:
        TrainingError: there are too few contexts, or a text cannot stand in the frame.
        InjectionError: the model writes no text.
    """
    asked = list(default_contexts() if contexts is None else contexts)
    held_out = max(1, round(HELD_OUT * len(asked)))
    if len(asked) - held_out < 1:
        raise TrainingError(f"expected two or more contexts to distil on, found {len(asked)}")
    rows = [
        row
        for text in texts
        for row in prepare(
            model,
            Task("distil", "generation", frame.with_text(text)),
            [Example(context) for context in asked],
            new_tokens=answer_tokens,
        )
    ]
    at_once = _ROWS_AT_ONCE["cpu" if model.device.type == "cpu" else "gpu"]
    answers = sampled_answers(
        model, None, rows, answer_tokens=answer_tokens, seed=seed, at_once=at_once
    )
    return [
        _task(model, text, frame.with_rows(length), asked, own, held_out)
        for text, own in zip(texts, _chunks(answers, len(asked)), strict=True)
    ]


def sampled_answers(
    model: FrozenModel,
    injection: Injection | None,
    rows: Sequence[Row],
    *,
    answer_tokens: int,
    seed: int,
    at_once: int,
) -> list[str]:
    """An answer to every row, drawn from what the model says that reads a prompt, or none.

    How many rows are run at once decides, with the seed, what is drawn.
    """
    pick = sampling(seed)
    answers: list[str] = []
    for start in range(0, len(rows), at_once):
        batch = rows[start : start + at_once]
        answers += model.generate_rows(injection, batch, max_new_tokens=answer_tokens, pick=pick)
    return answers


def _task(
    model: FrozenModel,
    text: str,
    template: str,
    contexts: Sequence[str],
    answers: Sequence[str],
    held_out: int,
) -> Task:
    examples = [
        # An answer that is nothing but special tokens still ends somewhere.
        Example(context, target=answer or "\n")
        for context, answer in zip(contexts, answers, strict=True)
    ]
    return Task(
        name="distilled",
        kind="generation",
        template=template,
        metric="rouge_l",
        train=examples[:-held_out],
        test=examples[-held_out:],
        source=f"answers of {model.name} that reads {text!r}",
    )


def _chunks(values: Sequence[str], size: int) -> list[Sequence[str]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def distillation_config(text: str, length: int = 8, **others: Any) -> TrainConfig:
    """A training configuration that distils a text.

    Args:
        text: what is to be distilled.
        length: prompt rows, P, as in the task.
        others: further fields of `TrainConfig`, in place of the defaults of distillation: 60
            updates of 8 contexts at a constant rate of 0.02, without a validation on the way.
    """
    return TrainConfig(**{**DEFAULTS, **others}, objective="distill", teacher=text, length=length)
