"""The templates, with everything that enters them escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from probe.charts.labels import score_text, visible
from probe.reports.score_strips import strip_ticks
from probe.reports.token_strips import LEGEND, nearest_strip, strip_html
from probe.requests.train_methods import method_words


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
    found.globals |= {
        "nearest_strip": nearest_strip,
        "strip_html": strip_html,
        "strip_legend": LEGEND,
        "strip_ticks": strip_ticks,
    }
    return found
