"""A decoding as a table and as one HTML page: no script, no network, every token escaped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from probe.analysis.controls import (
    FLAG_NAMES,
    NEVER_LEFT_ITS_START,
    NOT_BETTER_THAN_CHANCE,
    OFF_THE_MANIFOLD,
)
from probe.analysis.decoding import Decoding, ReferenceScores
from probe.analysis.neighbours import METRIC_NAMES
from probe.charts.decoding import samples
from probe.charts.labels import score_text, visible
from probe.charts.palette import PROMPT
from probe.measures import measure_name
from probe.reports.headlines import decoding_headline
from probe.reports.spreadsheets import csv_with
from probe.reports.token_strips import LEGEND, nearest_strip, strip_html
from probe.requests.train_methods import method_words

_TICKS = 4
FLAG_MEANINGS = {
    NOT_BETTER_THAN_CHANCE: "not closer to a token than 97.5 % of the Gaussian control: rows "
    "with the vocabulary's mean and covariance, at the same norm",
    FLAG_NAMES[
        OFF_THE_MANIFOLD
    ]: "farther from every token than 99 % of held-out tokens are from their nearest other token",
    FLAG_NAMES[NEVER_LEFT_ITS_START]: "of all tokens, the one training began from has the "
    "highest cosine with it, whatever the metric of the list",
}


def decoding_csv(decoding: Decoding) -> str:
    """One row per position and rank; how it was made stands in columns of its own."""
    made = {
        "prompt": decoding.prompt,
        "model": decoding.model,
        "metric": decoding.metric,
        "higher_is_better": decoding.higher_is_better,
        "k": decoding.k,
        "filters": "; ".join(decoding.filters),
        "one_to_one": decoding.one_to_one,
        "seed": decoding.seed,
        "sample_size": decoding.sample_size,
    }
    return csv_with(decoding.to_frame(), made)


def decoding_html(decoding: Decoding, *, note: str = "") -> str:
    """The whole decoding as one HTML page that opens anywhere and runs nothing.

    Args:
        decoding: of which prompt.
        note: what somebody noted of it; any text.
    """
    lines = decoding_headline(decoding)
    return (
        environment()
        .get_template("decoding.html")
        .render(
            decoding=decoding,
            note=note,
            answer=lines[0],
            details=lines[1:],
            metric=METRIC_NAMES[decoding.metric],
            strips=strips(decoding),
            flags=FLAG_MEANINGS,
        )
    )


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
    if decoding.reference is None:
        return []
    low, high = _range(decoding.reference)
    span = (high - low) or 1.0
    return [
        _strip(name, colour, 100 * (scores - low) / span, dots=colour == PROMPT)
        for name, scores, colour in samples(decoding.reference)
    ]


def strip_ticks(decoding: Decoding) -> list[tuple[float, str]]:
    """Scores to write under the strips, each with its x position; none without controls."""
    if decoding.reference is None:
        return []
    low, high = _range(decoding.reference)
    shares = [tick / _TICKS for tick in range(_TICKS + 1)]
    return [(100 * one, score_text(low + one * (high - low), decoding.metric)) for one in shares]


def _range(reference: ReferenceScores) -> tuple[float, float]:
    """The lowest and the highest score of all samples."""
    everything = np.concatenate([scores for _, scores, _ in samples(reference)])
    return float(everything.min()), float(everything.max())


def _strip(name: str, colour: str, places: NDArray[np.float64], *, dots: bool) -> Strip:
    low, first, median, third, high = (
        round(float(place), 2) for place in np.quantile(places, [0.05, 0.25, 0.5, 0.75, 0.95])
    )
    shown = tuple(round(float(place), 2) for place in places) if dots else ()
    return Strip(name, colour, len(places), low, first, median, third, high, shown)


def environment() -> Environment:
    """Templates of `probe/templates`, with what they call: filters, token and score strips."""
    found = Environment(
        loader=PackageLoader("probe"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["visible"] = visible
    found.filters["score"] = score_text
    found.filters["method_words"] = method_words
    found.filters["measure_name"] = measure_name
    found.globals |= {
        "nearest_strip": nearest_strip,
        "strip_html": strip_html,
        "strip_legend": LEGEND,
        "strip_ticks": strip_ticks,
    }
    return found
