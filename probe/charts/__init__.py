"""Figures: analysis result in, Plotly figure out, for notebooks, reports and pages alike.

Figures set the colours of their data and leave those of text, grid and background to the page, so
one figure reads well on a light and on a dark one.
"""

from probe.charts.decoding import colour_meaning, neighbour_bars, position_rank_map, score_violins
from probe.charts.labels import score_text, token_label, visible
from probe.charts.prompts import norm_bars

__all__ = [
    "colour_meaning",
    "neighbour_bars",
    "norm_bars",
    "position_rank_map",
    "score_text",
    "score_violins",
    "token_label",
    "visible",
]
