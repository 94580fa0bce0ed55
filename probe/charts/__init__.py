"""Figures: analysis result in, Plotly figure out, for notebooks, reports and pages alike.

Figures set the colours of their data and leave those of text, grid and background to the page, so
one figure reads well on a light and on a dark one.
"""

from probe.charts.answers import probability_bars
from probe.charts.curves import Curves, curves
from probe.charts.decoding import colour_meaning, neighbour_bars, position_rank_map, score_violins
from probe.charts.drift import drift_changes, drift_lines
from probe.charts.labels import score_text, token_label, visible
from probe.charts.maps import map_caption, map_figure
from probe.charts.prompts import norm_bars
from probe.charts.similarity import closeness_bars, position_view_map, similarity_map
from probe.charts.training import (
    loss_curves,
    moved_curves,
    norm_curves,
    run_coordinates,
    score_curves,
)

__all__ = [
    "Curves",
    "closeness_bars",
    "colour_meaning",
    "curves",
    "drift_changes",
    "drift_lines",
    "loss_curves",
    "map_caption",
    "map_figure",
    "moved_curves",
    "neighbour_bars",
    "norm_bars",
    "norm_curves",
    "position_rank_map",
    "position_view_map",
    "probability_bars",
    "run_coordinates",
    "score_curves",
    "score_text",
    "score_violins",
    "similarity_map",
    "token_label",
    "visible",
]
