"""A decoding as a table and as one HTML page: no script, no network, every token escaped."""

from __future__ import annotations

from probe.analysis.controls import (
    FLAG_NAMES,
    NEVER_LEFT_ITS_START,
    NOT_BETTER_THAN_CHANCE,
    OFF_THE_MANIFOLD,
)
from probe.analysis.decoding import Decoding
from probe.charts.labels import METRIC_NAMES
from probe.reports.environment import environment
from probe.reports.headlines import decoding_headline
from probe.reports.score_strips import strips
from probe.reports.spreadsheets import csv_with

FLAG_MEANINGS = {
    NOT_BETTER_THAN_CHANCE: "not closer to a token than 97.5 % of rows drawn from the vocabulary's "
    "own mean and covariance at the same norm",
    OFF_THE_MANIFOLD: "farther from every token than 99 % of real tokens are from their nearest "
    "other token",
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


def decoding_html(decoding: Decoding) -> str:
    """The whole decoding as one HTML page that opens anywhere and runs nothing."""
    lines = decoding_headline(decoding)
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
