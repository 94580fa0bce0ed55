"""What the frozen model expects with a text in the prompt's place: the teacher of a distillation.

Prompt and text stand in the same frame, so that KL(teacher ‖ student) over the target's tokens is
the effect of the text that the prompt lacks (Snell et al. 2022, *Learning by distilling context*).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from probe.errors import TrainingError
from probe.models import FrozenModel, Injection, Row
from probe.models.language import LanguageModel
from probe.models.rows import Teacher, right_option

_ROWS_AT_ONCE = {"cpu": 8, "gpu": 64}
"""Their logits over the vocabulary are held in float32 at once."""


def taught(model: FrozenModel, rows: Sequence[Row], text_ids: Sequence[int]) -> list[Row]:
    """Rows with what the model expects of their targets when it reads a text.

    Args:
        model: teacher and student.
        rows: with a place for the prompt; each has one right option.
        text_ids: what stands in the prompt's place for the teacher; none gives the model alone.

    Raises:
        TrainingError: the model is none that can be distilled.
    """
    language = _require_language(model)
    return _with_teachers(language, rows, None, [with_text(row, text_ids) for row in rows])


def taught_by_prompt(model: FrozenModel, rows: Sequence[Row], injection: Injection) -> list[Row]:
    """Rows with what the model expects of their targets when it reads a prompt.

    Args:
        model: teacher and student.
        rows: with a place for the prompt; each has one right option.
        injection: of the one prompt.

    Raises:
        TrainingError: the model is none that can be distilled.
    """
    return _with_teachers(_require_language(model), rows, injection, rows)


def _require_language(model: FrozenModel) -> LanguageModel:
    if not isinstance(model, LanguageModel):
        raise TrainingError(
            f"{model.name} is a {model.family} model: distil a causal language model"
        )
    return model


def _with_teachers(
    model: LanguageModel, rows: Sequence[Row], injection: Injection | None, read: Sequence[Row]
) -> list[Row]:
    """Rows with what the model expects of their targets when it reads other rows instead."""
    found: list[Row] = []
    at_once = _ROWS_AT_ONCE["cpu" if model.device.type == "cpu" else "gpu"]
    for start in range(0, len(rows), at_once):
        teachers = _teachers(model, injection, read[start : start + at_once])
        found += [
            dataclasses.replace(row, teacher=teacher)
            for row, teacher in zip(rows[start : start + at_once], teachers, strict=True)
        ]
    return found


def with_text(row: Row, text_ids: Sequence[int]) -> Row:
    """The row as the model alone reads it, with a text where the prompt stands."""
    index = row.slots[0].index
    prefix_ids = (*row.prefix_ids[:index], *text_ids, *row.prefix_ids[index:])
    return dataclasses.replace(row, prefix_ids=prefix_ids, slots=(), teacher=None)


@torch.no_grad()
def _teachers(
    model: LanguageModel, injection: Injection | None, rows: Sequence[Row]
) -> list[Teacher]:
    logits, _ = model.target_logits(injection, rows)
    logs = torch.log_softmax(logits, -1)
    counts = [len(row.options[right_option(row)]) for row in rows]
    # Both sums are taken over the same rounded numbers, so that an equal student has divergence 0.
    probabilities = logs.exp().half()
    exact = probabilities.float()
    exact /= exact.sum(-1, keepdim=True)
    entropies = -torch.xlogy(exact, exact).sum(-1)
    return [
        Teacher(chosen, entropy)
        for chosen, entropy in zip(
            torch.split(probabilities, counts), torch.split(entropies, counts), strict=True
        )
    ]
