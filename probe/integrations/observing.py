"""What a prompt looks like during its training, beside where it began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from probe.analysis.controls import OFF_THE_MANIFOLD
from probe.analysis.displacement import StartRows
from probe.analysis.neighbours import nearest_tokens
from probe.arrays import Cached, Float32Array, IntArray
from probe.errors import NotDecodableError
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.readings import READINGS, Subject, named_readings, needs_model
from probe.texts import as_json
from probe.vocabulary import Vocabulary

_STILL = 1e-6
"""Part of its own length by which a row may differ from its start and still be at it."""


@dataclass(frozen=True)
class Observation:
    """A prompt at one step of its training."""

    step: int
    rows: int
    """Virtual tokens, P."""
    norm: float
    """Mean length of the rows; of a prefix, of each position's keys and values."""
    distance: float
    """Mean distance of the rows from where they began."""
    rows_at_start: int
    """Rows that are where they began."""
    off_manifold: float | None = None
    """Share of rows farther from any token than 99 % of tokens are; None of a prefix."""
    moved: float | None = None
    """Share of rows whose nearest token, by cosine, is another than at the start."""
    readings: Mapping[str, str] = field(default_factory=dict)
    """What each reading says, or why it says nothing."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """As the training measured them."""
    warnings: tuple[str, ...] = ()
    """What seems to go wrong, a line each."""

    def to_json(self) -> dict[str, Any]:
        """The line of `readings.jsonl`; what is no finite number is None."""
        document: dict[str, Any] = as_json(asdict(self))
        return document

    @property
    def numbers(self) -> dict[str, float]:
        """What is drawn over the steps."""
        found = {
            "norm": self.norm,
            "distance": self.distance,
            "rows_at_start": float(self.rows_at_start),
            "off_manifold": self.off_manifold,
            "moved": self.moved,
        }
        return {name: value for name, value in found.items() if value is not None}


class Observer:
    """Looks at a prompt again and again, and remembers where it began.

    Args:
        vocabulary: of the base model; None for prefixes, and where no tokens are looked for.
        readings: of `probe.read`, those that run no model.
        seed: of controls.
        cached: keeps the reference samples of the table.

    Raises:
        ValueError: there is no such reading, or it runs the model.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | None,
        readings: Sequence[str] = (),
        *,
        seed: int = 0,
        cached: Cached = lambda _, compute, __: compute(),
    ) -> None:
        self._names = named_readings(readings)
        if needs_model(self._names):
            raise ValueError(
                "expected readings that run no model, such as nearest, displacement or sparse, "
                f"found {', '.join(readings)}"
            )
        self._vocabulary, self._seed, self._cached = vocabulary, seed, cached
        self._start: Float32Array | None = None
        self._first_tokens: IntArray | None = None

    def observe(
        self, prompt: AnyPrompt, step: int, metrics: Mapping[str, float] | None = None
    ) -> Observation:
        """How a prompt stands; the first one is the start of all that follow."""
        rows = _flat(prompt)
        if self._start is None or self._start.shape != rows.shape:
            self._start, self._first_tokens = rows.copy(), None
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        distances = np.linalg.norm(rows.astype(np.float64) - self._start, axis=1)
        seen = Observation(
            step=step,
            rows=len(prompt),
            norm=float(lengths.mean()),
            distance=float(distances.mean()),
            rows_at_start=int((distances <= _STILL * np.maximum(lengths, 1e-12)).sum()),
            metrics=dict(metrics or {}),
        )
        if self._vocabulary is None or not isinstance(prompt, SoftPrompt):
            return seen
        return self._among_tokens(seen, prompt, self._vocabulary)

    def _among_tokens(
        self, seen: Observation, prompt: SoftPrompt, vocabulary: Vocabulary
    ) -> Observation:
        """The same with what the vocabulary tells."""
        subject = Subject(
            prompt, vocabulary, seed=self._seed, cached=self._cached, began=self._began(prompt)
        )
        off = subject.decoding.count(OFF_THE_MANIFOLD) / len(prompt)
        near = nearest_tokens(prompt.embeddings, vocabulary, "cosine", k=1).ids[:, 0]
        if self._first_tokens is None:
            self._first_tokens = near
        return Observation(
            **{
                **vars(seen),
                "off_manifold": off,
                "moved": float((near != self._first_tokens).mean()),
                "readings": {name: _said(name, subject) for name in self._names},
            }
        )

    def _began(self, prompt: SoftPrompt) -> StartRows:
        assert self._start is not None
        ids = prompt.init_token_ids or (0,) * len(prompt)
        return StartRows(self._start, np.arange(len(prompt)), ids, "recorded")


def _said(name: str, subject: Subject) -> str:
    try:
        return READINGS[name].read(subject).text
    except NotDecodableError as error:
        return f"({error})"


def _flat(prompt: AnyPrompt) -> Float32Array:
    """A prompt's numbers position by position, [P, …]."""
    if not isinstance(prompt, KVPrefix):
        return prompt.embeddings
    by_position = np.moveaxis(np.stack([prompt.keys, prompt.values]), 3, 0)
    return by_position.reshape(len(prompt), -1)
