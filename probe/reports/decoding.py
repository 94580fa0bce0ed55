"""A decoding as a table and as one HTML page: no script, no network, every token escaped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probe.analysis.controls import (
    FLAG_NAMES,
    NEVER_LEFT_ITS_START,
    NOT_BETTER_THAN_CHANCE,
    OFF_THE_MANIFOLD,
)
from probe.analysis.decoding import Decoding
from probe.charts.labels import METRIC_NAMES
from probe.charts.palette import CHANCE, ISOTROPIC, PROMPT, VOCABULARY
from probe.reports.environment import environment
from probe.reports.spreadsheets import csv_of

if TYPE_CHECKING:
    import pandas as pd

FLAG_MEANINGS = {
    NOT_BETTER_THAN_CHANCE: "not closer to a token than 97.5 % of rows drawn from the vocabulary's "
    "own mean and covariance at the same norm",
    OFF_THE_MANIFOLD: "farther from every token than 99 % of real tokens are from their nearest "
    "other token",
    FLAG_NAMES[NEVER_LEFT_ITS_START]: "of all tokens, the one training began from has the "
    "highest cosine with it, whatever the metric of the list",
}


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


def csv_with(frame: pd.DataFrame, made: Mapping[str, object]) -> str:
    """A table with how it was made, the same in every row, in columns of its own."""
    import pandas as pd

    how = pd.DataFrame([made] * len(frame), index=frame.index)
    return csv_of(pd.concat([frame, how], axis=1))


def decoding_html(decoding: Decoding) -> str:
    """The whole decoding as one HTML page that opens anywhere and runs nothing."""
    lines = headline(decoding)
    return (
        environment()
        .get_template("decoding.html")
        .render(
            decoding=decoding,
            answer=lines[0],
            details=lines[1:],
            metric=METRIC_NAMES[decoding.metric],
            strips=strips(decoding),
            flags=FLAG_MEANINGS,
        )
    )


def headline(decoding: Decoding) -> list[str]:
    """What the decoding is worth, the answer first, each a plain sentence."""
    if decoding.reference is None:
        doubt = "Without controls, nobody can say whether these tokens mean anything."
        return [doubt, *map(_sentence, decoding.notes)]
    total = len(decoding.positions)
    lines = [_chance_line(decoding.count(NOT_BETTER_THAN_CHANCE), total)]
    if off := decoding.count(OFF_THE_MANIFOLD):
        lines.append(
            f"{off} of {total} {_lie(off)} farther from every token than 99 % of real tokens do."
        )
    if decoding.start_sentence:
        lines.append(decoding.start_sentence)
    return [*lines, *map(_sentence, decoding.notes)]


def _sentence(note: str) -> str:
    return f"Note: {note}."


def _chance_line(noise: int, total: int) -> str:
    if total == 1:
        verb = "is no closer" if noise else "is closer"
        return f"The only position {verb} to a token than chance rows are."
    if noise == total:
        return f"None of the {total} positions is closer to a token than chance rows are."
    if noise == 0:
        return f"All {total} positions are closer to a token than chance rows are."
    verb = "is" if noise == 1 else "are"
    return f"{noise} of {total} positions {verb} no closer to a token than chance rows are."


def _lie(count: int) -> str:
    return "lies" if count == 1 else "lie"


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
    everything = np.concatenate([scores for _, _, scores in samples])
    low, high = float(everything.min()), float(everything.max())
    span = (high - low) or 1.0
    return [
        _strip(name, colour, 100 * (scores - low) / span, dots=colour == PROMPT)
        for name, colour, scores in samples
    ]


def _strip(name: str, colour: str, places: NDArray[np.float64], *, dots: bool) -> Strip:
    low, first, median, third, high = (
        round(float(place), 2) for place in np.quantile(places, [0.05, 0.25, 0.5, 0.75, 0.95])
    )
    shown = tuple(round(float(place), 2) for place in places) if dots else ()
    return Strip(name, colour, len(places), low, first, median, third, high, shown)
