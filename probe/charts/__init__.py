"""Figures: analysis result in, Plotly figure out, for notebooks, reports and pages alike.

Figures set the colours of their data and leave those of text, grid and background to the page, so
one figure reads well on a light and on a dark one.
"""

from probe.charts.ablation import (
    ablation_bars,
    attribution_bars,
    knock_out_lines,
    pruning_lines,
)
from probe.charts.cramming import cramming_growth, cramming_nats
from probe.charts.curves import Curves, curves
from probe.charts.decoding import colour_meaning, neighbour_bars, position_rank_map, score_violins
from probe.charts.evaluation import probability_bars, score_intervals
from probe.charts.insides import (
    attention_map,
    class_rate_bars,
    lens_map,
    lens_overlap,
)
from probe.charts.labels import score_text, token_label, visible
from probe.charts.maps import map_figure, trajectory_map, variance_bars
from probe.charts.page import figures_html
from probe.charts.prompt_rows import drift_changes, drift_lines, norm_bars
from probe.charts.reading_rates import reading_rate_figures
from probe.charts.similarity import closeness_bars, position_view_map, similarity_map
from probe.charts.training import (
    loss_curves,
    moved_curves,
    norm_curves,
    pareto_points,
    run_coordinates,
    score_curves,
    sweep_figures,
)
from probe.charts.transfer import correlation_bars, transfer_map
from probe.charts.waywardness import (
    definition_bars,
    gamma_curves,
    length_points,
    size_points,
    waywardness_figures,
)
