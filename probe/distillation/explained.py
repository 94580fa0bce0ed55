"""How much of a text's effect something in its place has: a prompt, another text, or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from probe.bootstrap import Bootstrap, percentiles
from probe.models import FrozenModel, Row, prepare
from probe.prompt import AnyPrompt
from probe.results import Result
from probe.task import Example, Task
from probe.training.data import taught, with_text
from probe.training.initialise import text_ids

_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Explained(Result):
    """Divergences from the model that reads the text, on contexts no prompt was trained on."""

    kl_nats: float
    """Mean over contexts of KL(teacher ‖ student) per token of the answer."""
    kl0_nats: float
    """The same with nothing in the prompt's place."""
    share: float
    """1 - KL / KL₀; 1 explains all of the text's effect, 0 none of it."""
    interval: tuple[float, float]
    """Of the share: 95 % of resamples of the contexts, paired."""
    contexts: int

    @property
    def scores(self) -> dict[str, Any]:
        """What is noted with a prompt."""
        return {
            "kl_nats": self.kl_nats,
            "kl0_nats": self.kl0_nats,
            "share_explained": self.share,
            "share_explained_interval": list(self.interval),
        }


def explained(
    model: FrozenModel,
    task: Task,
    text: str,
    given: AnyPrompt | str,
    *,
    examples: Sequence[Example] | None = None,
    seed: int = 0,
) -> Explained:
    """How much of the effect of `text` a prompt, or another text, has.

    Args:
        model: teacher and student.
        task: as `distillation_tasks` makes it.
        text: what the teacher reads.
        given: what the student reads in its place.
        examples: contexts with answers; the task's held-out ones when None.
        seed: of the resamples.
    """
    rows = taught_rows(model, task, text, task.test if examples is None else examples)
    without = row_divergences(model, rows, None)
    return share_explained(row_divergences(model, rows, given), without, seed=seed)


def taught_rows(
    model: FrozenModel, task: Task, text: str, examples: Sequence[Example]
) -> list[Row]:
    """The examples as rows, with what the model expects of their answers when it reads the text."""
    ids = text_ids(model, text)
    rows = prepare(model, task, examples, objective="distill", prompt_length=len(ids))
    return taught(model, rows, ids)


@torch.no_grad()
def row_divergences(
    model: FrozenModel, rows: Sequence[Row], given: AnyPrompt | str | None
) -> NDArray[np.float64]:
    """Mean KL(teacher ‖ student) in nats per token of each row's answer, [n].

    Args:
        model: the student.
        rows: with their teacher.
        given: what stands in the prompt's place: a prompt, a text, or nothing.
    """
    if given is None or isinstance(given, str):
        ids = () if given is None else text_ids(model, given)
        rows = [_replaced(row, ids) for row in rows]
        injection = None
    else:
        injection = model.injection_of([given])
    parts = [rows[i : i + _ROWS_AT_ONCE] for i in range(0, len(rows), _ROWS_AT_ONCE)]
    losses = [model.losses(injection, part).double().cpu().numpy() for part in parts]
    return np.concatenate(losses)


def share_explained(
    found: NDArray[np.float64], without: NDArray[np.float64], *, seed: int = 0
) -> Explained:
    """1 - KL / KL₀ with its interval over contexts.

    Args:
        found: [n] divergences of what is judged.
        without: [n] those with nothing in its place, context by context.
        seed: of the resamples.
    """
    means = Bootstrap(len(found), seed=seed).means(np.stack([found, without], axis=1))
    shares = 1 - means[:, 0] / np.maximum(means[:, 1], 1e-12)
    return Explained(
        kl_nats=float(found.mean()),
        kl0_nats=float(without.mean()),
        share=float(1 - found.mean() / max(without.mean(), 1e-12)),
        interval=percentiles(shares),
        contexts=len(found),
    )


def _replaced(row: Row, ids: Sequence[int]) -> Row:
    return dataclasses.replace(with_text(row, ids), teacher=row.teacher)
