"""Gradient: what the first step of a distillation would have added to the start."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import torch
from numpy.typing import NDArray

from probe.analysis.decoding import require_decodable
from probe.analysis.displacement import displacement
from probe.distillation import default_contexts, distillation_tasks, frame_of
from probe.distillation.explained import taught_rows
from probe.distillation.frames import PROMPT_SLOT
from probe.errors import NotDecodableError
from probe.linalg import unit_rows
from probe.models import CausalModel, Row
from probe.prompt import SoftPrompt
from probe.readings.displaced import as_reading, by_flips
from probe.readings.promoted import causal_model
from probe.readings.reading import TOKENS, Reading, Subject
from probe.training.methods.base import injection_of_made

_CONTEXTS, _ANSWER_TOKENS, _ROWS_AT_ONCE = 8, 24, 4


def read_gradient(subject: Subject) -> Reading:
    """The tokens nearest to -∂L/∂p at the start: its mean over rows, and each row's own.

    L is the divergence from the model that reads the distilled text, over 8 shipped contexts. The
    mean cosine of the rows' displacements with it says whether these are more than one step.

    Raises:
        NotDecodableError: the file names no distilled text, the start is not known, or the model
            is none that writes.
    """
    model = causal_model(subject, "the gradient needs")
    prompt = require_decodable(subject.prompt, subject.vocabulary)
    text, start = _text(prompt), subject.start
    rows = _contexts(model, subject, text)
    began = prompt.embeddings.copy()
    began[start.positions] = start.rows
    step = downhill(model, rows, began)[start.positions]
    moved = prompt.embeddings.copy()
    # Rounding takes nothing of a step that is as long as the row it is added to.
    long = np.linalg.norm(start.rows, axis=1).mean() / max(
        np.linalg.norm(step, axis=1).mean(), 1e-30
    )
    moved[start.positions] = start.rows + np.float32(long) * step
    found = displacement(
        dataclasses.replace(prompt, embeddings=moved),
        subject.vocabulary,
        start,
        k=3 * TOKENS,
        allowed=subject.allowed,
        seed=subject.seed,
    )
    return dataclasses.replace(
        as_reading("gradient", subject, found),
        **by_flips(found)._asdict(),
        agreement=_agreement(prompt.embeddings[start.positions] - start.rows, step),
    )


def downhill(
    model: CausalModel, rows: list[Row], start: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The negative gradient of the mean loss of rows at prompt rows [P, H], in nats per unit.

    Args:
        model: the frozen one.
        rows: with their teacher.
        start: where the gradient is taken.
    """
    given = torch.tensor(start, device=model.device, requires_grad=True)
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        losses = model.losses(injection_of_made([given]), rows[at : at + _ROWS_AT_ONCE])
        (losses.sum() / len(rows)).backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    found: NDArray[np.float32] = -given.grad.float().cpu().numpy()
    return found


def _text(prompt: SoftPrompt) -> str:
    training = prompt.config.get("training")
    told = training if isinstance(training, dict) else {}
    text = told.get("teacher")
    if told.get("objective") != "distill" or not isinstance(text, str) or not text.strip():
        raise NotDecodableError(
            f"{prompt.name}: its file names no text that it was distilled from, so the first "
            "gradient of its training is not known"
        )
    return text


def _contexts(model: CausalModel, subject: Subject, text: str) -> list[Row]:
    """Contexts answered by the model that reads the text, with what it expects there."""
    own = re.sub(r"\{prompt:[0-9]+\}", PROMPT_SLOT, subject.template or "")
    frame = frame_of(model, own if own.count(PROMPT_SLOT) == 1 else None)
    (task,) = distillation_tasks(
        model,
        [text],
        frame,
        length=len(subject.prompt),
        contexts=default_contexts()[:_CONTEXTS],
        answer_tokens=_ANSWER_TOKENS,
        seed=subject.seed,
    )
    return taught_rows(model, task, text, [*task.train, *task.test])


def _agreement(moved: NDArray[np.float32], step: NDArray[np.float32]) -> float:
    """Mean cosine of the rows of two arrays [n, H]."""
    return float(np.einsum("nh,nh->n", unit_rows(moved), unit_rows(step)).mean())
