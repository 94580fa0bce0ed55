"""The figures of a report, as the data that its script draws."""

from __future__ import annotations

import json

import plotly.graph_objects as go

from probe.analysis.compare import Comparison, hierarchy
from probe.analysis.drift import Drift
from probe.analysis.maps import Map
from probe.charts import (
    drift_changes,
    drift_lines,
    map_figure,
    score_intervals,
    similarity_map,
    variance_bars,
)
from probe.reports.document import Report

_VOCABULARY_POINTS = 1500
"""Vocabulary points a report draws one by one; the density behind them shows all."""


def report_figures(report: Report) -> dict[str, go.Figure]:
    """Every figure by the id of its place on the page."""
    found: dict[str, go.Figure] = {}
    for number, scored in enumerate(report.scores):
        if scored.answer is not None:
            found[f"scores-{number}"] = score_intervals(scored.answer)
    for number, similarity in enumerate(report.similarities):
        if similarity.drawn and similarity.asked.answer is not None:
            found[f"similarity-{number}"] = _matrix(similarity.asked.answer)
    for number, mapped in enumerate(report.maps):
        if mapped.answer is not None:
            found[f"map-{number}"] = _map(mapped.answer)
            found[f"variance-{number}"] = variance_bars(mapped.answer)
    for number, part in enumerate(report.prompts):
        if part.drift is not None and part.drift.answer is not None:
            found |= _drift(part.drift.answer, number)
    for figure in found.values():
        figure.update_layout(dragmode=False, font={"family": "system-ui, sans-serif"})
    return found


def figures_json(figures: dict[str, go.Figure]) -> str:
    """Data and layout of every figure, as JSON that no HTML parser can leave."""
    document = {name: json.loads(str(figure.to_json())) for name, figure in figures.items()}
    text = json.dumps(document, separators=(",", ":"))  # ASCII: other letters are escaped
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _matrix(comparison: Comparison) -> go.Figure:
    return similarity_map(comparison, hierarchy(comparison))


def _drift(drift: Drift, number: int) -> dict[str, go.Figure]:
    return {
        f"drift-{number}": drift_lines(drift),
        f"drift-changes-{number}": drift_changes(drift),
    }


def _map(mapped: Map) -> go.Figure:
    """The map as vectors: what WebGL draws is blank on paper and where there is no WebGL."""
    figure = map_figure(mapped)
    traces = [_vector(t) if isinstance(t, go.Scattergl) else t for t in figure.data]
    return go.Figure(data=traces, layout=figure.layout)


def _vector(points: go.Scattergl) -> go.Scatter:
    """The same points, of the vocabulary's every so many: their order, by ids, says nothing."""
    most = _VOCABULARY_POINTS if points.name == "vocabulary" else len(points.x)
    step = -(-len(points.x) // most)
    thinned = {key: points[key][::step] for key in ("x", "y", "customdata")}
    return go.Scatter(points.to_plotly_json() | {"type": "scatter"} | thinned)
