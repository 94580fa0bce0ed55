"""Which vocabulary tokens is a soft prompt closest to, and does that mean anything?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from probe.analysis.controls import PositionControls, metric_agreement, position_controls
from probe.analysis.mixing import strength_note
from probe.analysis.neighbours import (
    DEFAULT_METRIC,
    HIGHER_IS_BETTER,
    Metric,
    Neighbours,
    assign_one_to_one,
    nearest_rows,
)
from probe.analysis.references import (
    RANDOM_SAMPLE,
    TOKEN_SAMPLE,
    Reference,
    is_reference,
    sample_reference,
)
from probe.analysis.starts import at_start
from probe.analysis.token_filters import token_filter
from probe.arrays import Arrays, BoolArray, Cached, Float64Array, IntArray, uncached
from probe.errors import NotDecodableError, require_choice
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.results import Result
from probe.texts import counted
from probe.vocabulary import Vocabulary

REFERENCE_VERSION = 2
"""Raised whenever the same seed starts to give other reference samples."""


@dataclass(frozen=True)
class Neighbour:
    """A vocabulary token near a position."""

    id: int
    token: str
    """As shown to people."""
    score: float


@dataclass(frozen=True)
class Position:
    """One virtual token, its nearest vocabulary tokens and what they are worth."""

    position: int
    norm: float
    neighbours: tuple[Neighbour, ...]
    controls: PositionControls | None


@dataclass(frozen=True, eq=False)
class ReferenceScores:
    """Best scores of the prompt and of the reference samples, to be drawn side by side."""

    prompt: Float64Array
    """[P]"""
    vocabulary: Float64Array
    """[n] sampled tokens against their nearest other token."""
    chance: Float64Array
    """[n] rows like the vocabulary; row j has the norm of position j mod P."""
    isotropic: Float64Array
    """[n] the isotropic control; row j has the norm of position j mod P."""


@dataclass(frozen=True, eq=False)
class Decoding(Result):
    """A prompt's nearest tokens beside their controls."""

    _left_out: ClassVar[frozenset[str]] = frozenset({"reference"})
    prompt: str
    model: str
    metric: Metric
    k: int
    seed: int
    filters: tuple[str, ...]
    one_to_one: bool
    text: str
    """The nearest token of every position, joined by the model's own tokenizer."""
    never_left_start: tuple[int, int] | None
    """(k, P): of k of P positions the nearest token by cosine is still the initial token."""
    positions: tuple[Position, ...]
    reference: ReferenceScores | None
    """None without controls."""
    embedding_factor: float = 1.0
    """What the model's embedding layer multiplies the rows of its table by."""
    notes: tuple[str, ...] = ()
    """What makes the whole decoding doubtful."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger score means nearer."""
        return HIGHER_IS_BETTER[self.metric]

    @property
    def sample_size(self) -> int:
        """Rows in each random reference sample; 0 without controls."""
        return 0 if self.reference is None else len(self.reference.chance)

    @property
    def start_sentence(self) -> str | None:
        """How many positions still lie nearest to their initial token; None where unknown."""
        if self.never_left_start is None:
            return None
        stayed, of = self.never_left_start
        return (
            f"At {stayed or 'none'} of {counted(of, 'position')} the nearest token is still "
            "its initial token (by cosine)."
        )

    def count(self, flag: str) -> int:
        """Number of positions that carry a flag."""
        return sum(flag in p.controls.flags for p in self.positions if p.controls)

    def _document(self) -> dict[str, Any]:
        derived = {"higher_is_better": self.higher_is_better, "sample_size": self.sample_size}
        return {**super()._document(), **derived}

    def _rows(self) -> list[dict[str, Any]]:
        """One row per position and rank; the controls repeat on every rank of a position."""
        return [
            {"position": p.position, "norm": p.norm, "rank": rank}
            | asdict(neighbour)
            | (_control_columns(p.controls) if p.controls else {})
            for p in self.positions
            for rank, neighbour in enumerate(p.neighbours, start=1)
        ]

    def _notebook_rows(self) -> list[dict[str, Any]]:
        """One row per position, its tokens in order."""
        return [
            {
                "position": p.position,
                "tokens": " ".join(one.token for one in p.neighbours),
                "best score": p.neighbours[0].score if p.neighbours else None,
            }
            | ({name: _control_columns(p.controls)[name] for name in _TOLD} if p.controls else {})
            for p in self.positions
        ]


_TOLD = ("vocabulary", "chance", "isotropic", "flags")
"""Of the controls, in a notebook."""


def _control_columns(controls: PositionControls) -> dict[str, Any]:
    return asdict(controls) | {"flags": "; ".join(controls.flags)}


@dataclass(frozen=True)
class Controls:
    """The reference samples that a decoding is held against."""

    computed: bool = True
    seed: int = 0
    cached: Cached = uncached
    """Keeps the samples of a table between calls."""


def decode(
    prompt: AnyPrompt,
    vocabulary: Vocabulary,
    *,
    metric: Metric = DEFAULT_METRIC,
    k: int = 5,
    filters: Sequence[str] = (),
    one_to_one: bool = False,
    controls: Controls = Controls(),
) -> Decoding:
    """List each position's nearest tokens and say what they are worth.

    Args:
        prompt: P rows of width H.
        vocabulary: the base model's tokens and table [V, H].
        metric: what near means.
        k: neighbours per position.
        filters: see `token_filter`; the controls obey them too.
        one_to_one: give every position a token of its own (one neighbour each).
        controls: the reference samples beside.

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
        ValueError: a bad metric, k or filter.
    """
    require_choice("metric", metric, HIGHER_IS_BETTER)
    prompt = require_decodable(prompt, vocabulary)
    rows = prompt.embeddings
    allowed = token_filter(vocabulary, filters)
    table = vocabulary.search_table
    near = {
        name: nearest_rows(rows, table, name, k=k, allowed=allowed)
        for name in (HIGHER_IS_BETTER if controls.computed else (metric,))
    }
    shown = near[metric]
    if one_to_one:
        shown = assign_one_to_one(rows, vocabulary, metric, allowed=allowed)
    stayed = at_start(prompt, vocabulary, near.get("cosine") if allowed.all() else None)
    judged: tuple[PositionControls | None, ...] = (None,) * len(rows)
    scores = None
    if controls.computed:
        reference = _reference(vocabulary, metric, allowed, controls)
        best, norms = near[metric].scores[:, 0], prompt.norms
        agreement = metric_agreement([n.ids for n in near.values()])
        judged = position_controls(best, norms, reference, agreement, at_start=stayed)
        scores = _reference_scores(best, norms, reference)
    return Decoding(
        prompt=prompt.name,
        model=vocabulary.name,
        metric=metric,
        k=k,
        seed=controls.seed,
        filters=tuple(filters),
        one_to_one=one_to_one,
        text=_text(vocabulary, shown.ids[:, 0]),
        never_left_start=None if stayed is None else (int(stayed.sum()), len(rows)),
        positions=_positions(vocabulary, prompt, shown, judged),
        reference=scores,
        embedding_factor=vocabulary.factor,
        notes=(doubt,) if (doubt := strength_note(prompt, vocabulary.scale)) else (),
    )


def require_decodable(prompt: AnyPrompt, vocabulary: Vocabulary) -> SoftPrompt:
    """The prompt itself, if nearest tokens make sense for its rows.

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
    """
    if isinstance(prompt, KVPrefix):
        raise NotDecodableError(
            f"{prompt.name} is a key/value prefix: its vectors are keys and values inside the "
            "layers, not input embeddings, so they have no nearest vocabulary tokens"
        )
    if prompt.width != vocabulary.width:
        raise NotDecodableError(
            f"{prompt.name} has width {prompt.width}, but the table of {vocabulary.name} has width "
            f"{vocabulary.width}: name the base model it was trained on"
        )
    return prompt


def _reference(
    vocabulary: Vocabulary, metric: Metric, allowed: BoolArray, controls: Controls
) -> Reference:
    mask = hashlib.sha256(np.packbits(allowed).tobytes()).hexdigest()[:16]
    sizes = f"{TOKEN_SAMPLE}-{RANDOM_SAMPLE}"
    parts = (REFERENCE_VERSION, vocabulary.fingerprint, mask, metric, controls.seed, sizes)
    key = "-".join(map(str, ("controls", *parts)))

    def compute() -> Arrays:
        rng = np.random.default_rng(controls.seed)
        table = vocabulary.search_table
        return sample_reference(table, metric, allowed=allowed, rng=rng).to_arrays()

    def fits(arrays: Arrays) -> bool:
        return is_reference(arrays, int(allowed.sum()))

    return Reference.from_arrays(controls.cached(key, compute, fits), metric)


def _reference_scores(
    best: Float64Array, norms: Float64Array, reference: Reference
) -> ReferenceScores:
    def spread(at_norm: Callable[[float], Float64Array]) -> Float64Array:
        scores = np.stack([at_norm(norm) for norm in norms])
        columns = np.arange(scores.shape[1])
        return scores[columns % len(norms), columns]

    return ReferenceScores(
        best, reference.vocabulary, spread(reference.chance.best), spread(reference.isotropic.best)
    )


def _text(vocabulary: Vocabulary, ids: IntArray) -> str:
    if vocabulary.codec is None:
        return "".join(vocabulary.tokens[i] for i in ids)
    return vocabulary.decode([int(i) for i in ids])


def _positions(
    vocabulary: Vocabulary,
    prompt: SoftPrompt,
    shown: Neighbours,
    judged: Sequence[PositionControls | None],
) -> tuple[Position, ...]:
    return tuple(
        Position(
            position=i,
            norm=float(prompt.norms[i]),
            neighbours=tuple(
                Neighbour(int(token), vocabulary.tokens[token], float(score))
                for token, score in zip(shown.ids[i], shown.scores[i], strict=True)
            ),
            controls=judged[i],
        )
        for i in range(len(shown.ids))
    )
