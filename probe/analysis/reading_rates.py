"""How often readings find the text that a prompt was distilled from, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.arrays import Float64Array, IntArray
from probe.bootstrap import Bootstrap, Estimate, percentiles
from probe.results import Result

if TYPE_CHECKING:
    import pandas as pd

CHECK = "check"
"""The condition of what scorers are checked on."""
ITSELF, RANDOM = "the text itself", "random tokens"
"""What is said there: it should be found always, and as often as chance has it."""
BINS = (0.6, 0.7, 0.8, 0.9)
"""Shares explained between which prompts are told apart."""


@dataclass(frozen=True)
class KnownPrompt:
    """A prompt that was distilled from a known text: one row of the prompts."""

    text: str
    kind: str
    number: int
    """Of the text, from 0."""
    condition: str
    seed: int | None
    share_explained: float | None
    """On held-out contexts, of the text's effect; None where the file does not tell."""
    kl_nats: float | None
    kl0_nats: float | None
    run_s: float | None
    prompt: str
    """The prompt's file."""


@dataclass(frozen=True)
class Rate:
    """How often one reading found the text, by one scorer."""

    condition: str
    reading: str
    scorer: str
    share_explained: str | None
    """The prompts with such a share only; None: all of the condition."""
    prompts: int
    texts: int
    """Among which each text is looked for."""
    tried: int
    """Of these, how many the prompts were distilled from."""
    top1: Estimate
    """With 95 % intervals over texts."""
    top5: Estimate
    mrr: Estimate
    """Mean reciprocal rank."""
    better_than_controls: float | None = None
    """Share of the prompts that the reading's own controls judge and that are called better."""

    @property
    def chance(self) -> float:
        """Share that would be found at random."""
        return 1 / self.texts

    def flat(self) -> dict[str, Any]:
        """The columns of a table."""
        values = asdict(self)
        for name in ("top1", "top5", "mrr"):
            one: Estimate = getattr(self, name)
            low, high = one.ends
            values |= {name: one.value, f"{name}_low": low, f"{name}_high": high}
        return values | {"chance": self.chance}


@dataclass(frozen=True, eq=False)
class ReadingRates(Result):
    """What a study of readings found on one model."""

    model: str
    table_sha256: str
    """Digest of the model's embedding table: of which prompts the rates tell."""
    texts: int
    rates: tuple[Rate, ...]
    kinds: Mapping[str, Mapping[str, float]]
    """Top-1 by overlap of every reading, by kind of text, of the condition with most rows."""
    kinds_of: str | None
    """That condition; None where there are no prompts yet."""
    controls: Mapping[str, Sequence[float]]
    """Best score of every prompt trained on nothing, by reading."""
    prompts: tuple[KnownPrompt, ...]
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> Rate | None:
        """The reading that found most, by overlap; None where nothing has been read."""
        read = [
            one
            for one in self.rates
            if one.condition == self.kinds_of and one.share_explained is None
        ]
        scorer = next((one.scorer for one in read), None)
        own = (one for one in read if one.scorer == scorer)
        return max(own, key=lambda one: one.top1.value, default=None)

    def _rows(self) -> list[dict[str, Any]]:
        """One row per condition, reading, scorer and bin of shares explained."""
        return [one.flat() for one in self.rates]

    def runs_frame(self) -> pd.DataFrame:
        """One row per prompt."""
        import pandas as pd

        return pd.DataFrame([asdict(one) for one in self.prompts])

    def counted(self) -> dict[str, Any]:
        """The rates as `probe read` takes them."""
        return {
            "model": self.model,
            "table_sha256": self.table_sha256,
            "kinds_of": self.kinds_of,
            "kinds": self.kinds,
            "rates": [asdict(one) for one in self.rates],
            "controls": self.controls,
        }

    def _document(self) -> dict[str, Any]:
        return {
            **self.counted(),
            "texts": self.texts,
            "prompts": [asdict(one) for one in self.prompts],
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Retrieval:
    """How often the right text is among the first, with 95 % intervals over texts."""

    top1: Estimate
    top5: Estimate
    mrr: Estimate
    """Mean reciprocal rank."""


def retrieval(scores: Float64Array, right: IntArray) -> Retrieval:
    """Top-1, top-5 and mean reciprocal rank of the right texts.

    A tie counts as its expected place: what scores nothing finds nothing. Of the intervals whole
    texts are drawn, with all items of each.

    Args:
        scores: [n, N] of n items and N texts, higher is nearer.
        right: [n] number of each item's own text.
    """
    better, ties = places(scores, right)
    top1, top5 = (np.clip((k - better) / ties, 0, 1) for k in (1, 5))
    reciprocal = [
        np.mean(1 / np.arange(b + 1, b + t + 1)) for b, t in zip(better, ties, strict=True)
    ]
    values = np.stack([top1, top5, np.array(reciprocal)], axis=1)
    counted = np.hstack([values, np.ones((len(values), 1))])
    sums = np.stack([counted[right == text].sum(0) for text in np.unique(right)])
    resampled = Bootstrap(len(sums)).means(sums)
    drawn = resampled[:, :-1] / resampled[:, -1:]
    found = [
        Estimate(float(value), percentiles(own))
        for value, own in zip(values.mean(0), drawn.T, strict=True)
    ]
    return Retrieval(*found)


def places(scores: Float64Array, right: IntArray) -> tuple[IntArray, IntArray]:
    """How many texts score above the right one, and how many as it does, itself included, [n]."""
    own = scores[np.arange(len(right)), right][:, None]
    return (scores > own).sum(1), (scores == own).sum(1)
