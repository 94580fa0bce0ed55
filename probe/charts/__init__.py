"""Figures: analysis result in, Plotly figure out, for notebooks, reports and pages alike.

Figures set the colours of their data and leave those of text, grid and background to the page, so
one figure reads well on a light and on a dark one.
"""

from probe.charts.answers import probability_bars
from probe.charts.curves import Curves, curves
from probe.charts.decoding import colour_meaning, neighbour_bars, position_rank_map, score_violins
from probe.charts.labels import score_text, token_label, visible
from probe.charts.prompts import norm_bars
from probe.charts.training import (
    loss_curves,
    moved_curves,
    norm_curves,
    run_coordinates,
    score_curves,
)

__all__ = [
    "Curves",
    "colour_meaning",
    "curves",
    "loss_curves",
    "moved_curves",
    "neighbour_bars",
    "norm_bars",
    "norm_curves",
    "position_rank_map",
    "probability_bars",
    "run_coordinates",
    "score_curves",
    "score_text",
    "score_violins",
    "token_label",
    "visible",
]
