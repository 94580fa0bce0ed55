"""Best scores of a prompt and of its reference samples as strips that a page draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probe.analysis.decoding import Decoding
from probe.charts.labels import score_text
from probe.charts.palette import CHANCE, ISOTROPIC, PROMPT, VOCABULARY

_TICKS = 4


@dataclass(frozen=True)
class Strip:
    """One row of the score strip; x positions run from 0 to 100."""

    name: str
    colour: str
    n: int
    low: float
    first_quartile: float
    median: float
    third_quartile: float
    high: float
    dots: tuple[float, ...]


def strips(decoding: Decoding) -> list[Strip]:
    """Best scores of the prompt and of the three reference samples; none without controls."""
    reference = decoding.reference
    if reference is None:
        return []
    samples = (
        ("this prompt", PROMPT, reference.prompt),
        ("real tokens", VOCABULARY, reference.vocabulary),
        ("chance rows", CHANCE, reference.chance),
        ("random directions", ISOTROPIC, reference.isotropic),
    )
    low, high = _range(decoding)
    span = (high - low) or 1.0
    return [
        _strip(name, colour, 100 * (scores - low) / span, dots=colour == PROMPT)
        for name, colour, scores in samples
    ]


def strip_ticks(decoding: Decoding) -> list[tuple[float, str]]:
    """Scores to write under the strips, each with its x position; none without controls."""
    if decoding.reference is None:
        return []
    low, high = _range(decoding)
    shares = [tick / _TICKS for tick in range(_TICKS + 1)]
    return [(100 * one, score_text(low + one * (high - low), decoding.metric)) for one in shares]


def _range(decoding: Decoding) -> tuple[float, float]:
    """The lowest and the highest score of all samples."""
    reference = decoding.reference
    assert reference is not None
    everything = np.concatenate(
        [reference.prompt, reference.vocabulary, reference.chance, reference.isotropic]
    )
    return float(everything.min()), float(everything.max())


def _strip(name: str, colour: str, places: NDArray[np.float64], *, dots: bool) -> Strip:
    low, first, median, third, high = (
        round(float(place), 2) for place in np.quantile(places, [0.05, 0.25, 0.5, 0.75, 0.95])
    )
    shown = tuple(round(float(place), 2) for place in places) if dots else ()
    return Strip(name, colour, len(places), low, first, median, third, high, shown)
