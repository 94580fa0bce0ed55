"""The figures of results, and those of a report as the data that its script draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from probe.analysis.compare import Comparison, hierarchy
from probe.analysis.maps import Map
from probe.analysis.starts import Drift
from probe.charts import (
    ablation_bars,
    attention_map,
    class_rate_bars,
    correlation_bars,
    curves,
    drift_changes,
    drift_lines,
    figures_html,
    knock_out_lines,
    lens_map,
    lens_overlap,
    loss_curves,
    map_figure,
    norm_bars,
    position_rank_map,
    position_view_map,
    reading_rate_figures,
    score_intervals,
    score_violins,
    similarity_map,
    sweep_figures,
    transfer_map,
    variance_bars,
    waywardness_figures,
)
from probe.charts.ablation import CHANGES
from probe.reports.document import Report
from probe.results import Result
from probe.store import JobFolder, read_records

Figures = dict[str, go.Figure]

_VOCABULARY_POINTS = 1500
"""Vocabulary points a report draws one by one; the density behind them shows all."""


def _of_ablation(found: Any) -> Figures:
    return {
        f"Loss when each position is {words}": ablation_bars(found, kind)
        for kind, words in CHANGES.items()
        if getattr(found.positions[0], kind) is not None
    }


def _of_knock_out(found: Any) -> Figures:
    return {"Change when layers do not see the prompt": knock_out_lines(found)}


def _of_lens(found: Any) -> Figures:
    shared = "How much of it random rows give too"
    return {"The likeliest token at each layer": lens_map(found), shared: lens_overlap(found)}


def _of_transfer(found: Any) -> Figures:
    figures = {"Scores and gains over the model alone": transfer_map(found)}
    if any(one.spearman is not None for one in found.correlations):
        figures["Does similarity foretell transfer?"] = correlation_bars(found)
    return figures


def _of_decoding(found: Any) -> Figures:
    figures = {"Nearest tokens of every position": position_rank_map(found)}
    if found.reference is not None:
        figures["Best scores beside the controls"] = score_violins(found)
    return figures


def _of_drift(found: Any) -> Figures:
    figures = {"Distance from the start": drift_lines(found)}
    if found.changes is not None:
        figures["Nearest tokens that changed"] = drift_changes(found)
    return figures


def _of_runs(found: Any) -> Figures:
    noted = [(run.run, read_records(JobFolder(Path(run.folder)).metrics)[0]) for run in found]
    drawn = [curves(name, records) for name, records in noted if records]
    return {"Loss": loss_curves(drawn)} if drawn else {}


def _of_scores(found: Any) -> Figures:
    return {"Scores with their 95 % intervals": score_intervals(found)}


FIGURES: dict[str, Callable[[Any], Figures]] = {
    "analysis.Ablation": _of_ablation,
    "analysis.AttentionMass": lambda found: {"Attention to each position": attention_map(found)},
    "analysis.Comparison": lambda found: {"Closeness of every two prompts": _matrix(found)},
    "analysis.Decoding": _of_decoding,
    "analysis.Descriptions": lambda found: {"Class rates": class_rate_bars(found)},
    "analysis.Drift": _of_drift,
    "analysis.GridResult": sweep_figures,
    "analysis.LayerKnockOut": _of_knock_out,
    "analysis.Lens": _of_lens,
    "analysis.Map": lambda found: {"Prompt rows among the vocabulary": map_figure(found)},
    "analysis.ReadingRates": reading_rate_figures,
    "analysis.PositionView": lambda found: {"Cosines of positions": position_view_map(found)},
    "analysis.Transfer": _of_transfer,
    "analysis.ValueLens": _of_lens,
    "analysis.Waywardness": waywardness_figures,
    "evaluation.Comparison": _of_scores,
    "jobs.JobView": lambda found: _of_runs([found]),
    "jobs.runs": _of_runs,
    "store.prompts": lambda found: {
        f"Norms of {row['name']}": norm_bars(row["norms"]) for row in found if "norms" in row
    },
}
"""By package and name of the result's class, of lists by what they hold; figures by title."""


def result_html(title: str, result: Result) -> str:
    """Headline and figures of a result as one page that opens anywhere."""
    return figures_html(title, result.figures(), made=" ".join(result.headline()))


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
