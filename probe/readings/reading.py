"""What is read, and what a reading says: ranked tokens, their words, and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probe.analysis.decoding import Controls, Decoding, decode, require_decodable
from probe.analysis.displacement import StartRows, StartSource, chance_lead, infer_start
from probe.analysis.token_filters import token_filter
from probe.arrays import Cached
from probe.errors import NotDecodableError
from probe.prompt import AnyPrompt
from probe.readings.hit_rates import HitRate, Rates
from probe.results import Result
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    from probe.models import FrozenModel

TOKENS = 20
"""Tokens of a reading, as many as its hit rate was counted with."""
LEVEL = 0.05
"""Largest p-value that is called better than controls."""


@dataclass(frozen=True)
class ScoredToken:
    """A token that a reading names."""

    id: int
    token: str
    """As shown to people."""
    score: float


@dataclass(frozen=True)
class Answer:
    """What the model says to a question about itself."""

    question: str
    answer: str
    """With the prompt in place."""
    without: str
    """With nothing in its place."""


@dataclass(frozen=True)
class RowTokens:
    """What a reading says of one position."""

    position: int
    tokens: tuple[ScoredToken, ...]


@dataclass(frozen=True)
class Reading(Result):
    """What a prompt means, as one reading has it."""

    name: str
    tokens: tuple[ScoredToken, ...] = ()
    """The nearest or most changed first; none where the reading was refused."""
    text: str = ""
    """Different words among the tokens, joined."""
    rows: tuple[RowTokens, ...] | None = None
    """None where the reading is of the prompt as a whole."""
    p: float | None = None
    """Chance that a control is as strong; None where nothing says what a control gives."""
    control: str | None = None
    """What the reading was compared with, in words."""
    control_95: float | None = None
    """The 95th percentile of the controls' best scores."""
    start: StartSource | None = None
    hit_rate: HitRate | None = None
    suppressed: tuple[ScoredToken, ...] | None = None
    """What the prompt keeps the model from saying, the most suppressed first; of promoted tokens
    only."""
    prose: bool = False
    """Whether the text is one to be read as it stands, not a list of words."""
    answers: tuple[Answer, ...] | None = None
    """Of questions put to the model only."""
    agreement: float | None = None
    """Mean cosine of the rows' displacements with the reading's direction; of the gradient only."""
    shares: tuple[float, ...] | None = None
    """Share of the rows' squared norm that sums of 1, 2, … tokens explain; of sparse sums only."""
    refused: str | None = None
    """Why there is no such reading of this prompt."""

    @property
    def better_than_controls(self) -> bool | None:
        """Whether chance seldom is as strong; None where nothing says what a control gives."""
        return None if self.p is None else self.p <= LEVEL

    @property
    def words(self) -> tuple[str, ...]:
        """What it says, word by word; nothing where it was refused."""
        return tuple(self.text.split() if self.prose else filter(None, self.text.split(", ")))

    def _document(self) -> dict[str, Any]:
        return {**super()._document(), "better_than_controls": self.better_than_controls}


@dataclass(frozen=True, eq=False)
class Subject:
    """A prompt that is read, with everything that readings of it share."""

    prompt: AnyPrompt
    vocabulary: Vocabulary
    model: FrozenModel | None = None
    """Only where a reading was asked for that needs it."""
    template: str | None = None
    """What the model reads; its frame for distilled prompts when None."""
    seed: int = 0
    cached: Cached = lambda _, compute, __: compute()
    """Keeps the reference samples of a table between calls."""
    began: StartRows | None = None
    """Where training began, if it was watched."""
    rates: Sequence[Rates] = ()
    """What was counted on the model: how often readings are right."""

    @property
    def has_labels(self) -> bool:
        """Whether the prompt is known to have been trained on a task's labels or targets.

        Controls that were distilled from nothing say little of those: rates and updates differ.
        """
        training = self.prompt.config.get("training", {})
        return isinstance(training, dict) and training.get("objective", "distill") != "distill"

    @cached_property
    def decoding(self) -> Decoding:
        """The nearest tokens of every row beside the controls.

        Raises:
            NotDecodableError: the prompt has no nearest tokens in this table.
        """
        return decode(
            self.prompt,
            self.vocabulary,
            k=3,
            metric="cosine",
            controls=Controls(seed=self.seed, cached=self.cached),
        )

    @cached_property
    def start(self) -> StartRows:
        """Where training began: recorded, else the token that leads by more than by chance.

        Raises:
            NotDecodableError: it is not known, or the prompt has no nearest tokens.
        """
        prompt = require_decodable(self.prompt, self.vocabulary)
        if self.began is not None:
            return self.began
        recorded = prompt.init_token_ids
        chance = np.inf
        if recorded is None or max(recorded) >= len(self.vocabulary):
            chance = chance_lead(self.vocabulary, seed=self.seed, cached=self.cached)
        return infer_start(prompt, self.vocabulary, chance)

    @cached_property
    def stayed(self) -> tuple[int, int] | None:
        """Of how many rows the nearest token is where they started, and of how many in all."""
        try:
            start = self.start
            known = self.decoding.never_left_start
        except NotDecodableError:
            return None
        inferred = (len(start.positions), len(self.prompt))
        return known if start.source == "recorded" else inferred

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Tokens that a reading may name, [V]: those that stand for text."""
        return token_filter(self.vocabulary, ("special", "byte", "unused"))

    def tokens(
        self, ids: Sequence[int] | NDArray[np.int64], scores: Sequence[float] | NDArray[np.floating]
    ) -> tuple[ScoredToken, ...]:
        """Token ids with their scores as people read them."""
        return tuple(
            ScoredToken(int(i), self.vocabulary.tokens[i], float(score))
            for i, score in zip(ids, scores, strict=True)
        )

    def words(self, ids: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Different words among tokens, in order: those with a letter, without blanks around."""
        return words_of(self.vocabulary, ids)


def words_of(vocabulary: Vocabulary, ids: Sequence[int] | NDArray[np.int64]) -> list[str]:
    """Different words among tokens, in order: those with a letter, without blanks around."""
    shown = (_word(vocabulary, int(i)) for i in ids)
    return list(dict.fromkeys(word for word in shown if any(c.isalpha() for c in word)))


def _word(vocabulary: Vocabulary, token: int) -> str:
    if vocabulary.codec is None:
        return vocabulary.tokens[token].strip("␣ ")
    return vocabulary.decode([token]).strip()
