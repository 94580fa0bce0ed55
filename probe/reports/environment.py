"""The templates, with everything that enters them escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from probe.charts.labels import score_text, visible


def environment() -> Environment:
    """Templates of `probe/templates`; `visible` and `score` are filters there."""
    found = Environment(
        loader=PackageLoader("probe"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["visible"] = visible
    found.filters["score"] = score_text
    return found
