"""Figures of a grid of training runs: what scores are worth what they cost."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from probe.analysis.grids import Cost, GridResult, Setting
from probe.charts.labels import token_label
from probe.charts.palette import CATEGORIES, new_figure

_COSTS: dict[Cost, str] = {
    "length": "virtual tokens, P",
    "trained_parameters": "trained numbers of a prompt",
    "run_s": "seconds to train a prompt",
}


def sweep_figures(found: GridResult) -> dict[str, go.Figure]:
    """Every figure the grid has data for, by its title."""
    return {"Score against cost": pareto_points(found)} if found.settings else {}


def pareto_points(found: GridResult) -> go.Figure:
    """Test score of each setting against its cost, those worth it joined, by model and task.

    Bars hold 95 % of resamples of a setting's runs.
    """
    figure = new_figure(height=400)
    groups = dict.fromkeys((one.model, one.task) for one in found.settings)
    several = len({model for model, _ in groups}) > 1
    for place, (model, task) in enumerate(groups):
        own = [one for one in found.settings if (one.model, one.task) == (model, task)]
        own.sort(key=lambda one: float(getattr(one, found.cost)))
        colour = CATEGORIES[place % len(CATEGORIES)]
        name = token_label(f"{model}, {task}" if several else task)
        worth = [one for one in own if one.worth]
        figure.add_scatter(
            x=[getattr(one, found.cost) for one in worth], y=[one.test_score for one in worth],
            mode="lines", line={"color": colour, "width": 2, "shape": "hv"}, hoverinfo="skip",
            showlegend=False, legendgroup=name,
        )  # fmt: skip
        figure.add_trace(_points(own, found.cost, colour, name))
    metric = found.settings[0].metric.replace("_", " ")
    figure.update_xaxes(title=_COSTS[found.cost], type="log")
    figure.update_yaxes(title=f"test {metric}")
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.18, "yanchor": "top"})
    return figure


def _points(own: Sequence[Setting], cost: Cost, colour: str, name: str) -> go.Scatter:
    ends = [one.interval or (one.test_score, one.test_score) for one in own]
    return go.Scatter(
        x=[getattr(one, cost) for one in own],
        y=[one.test_score for one in own],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [high - one.test_score for one, (_, high) in zip(own, ends, strict=True)],
            "arrayminus": [one.test_score - low for one, (low, _) in zip(own, ends, strict=True)],
            "thickness": 1,
            "width": 3,
        },
        mode="markers",
        name=name,
        legendgroup=name,
        marker={
            "color": colour,
            "size": 9,
            "symbol": ["circle" if one.worth else "circle-open" for one in own],
            "line": {"width": 1.5},
        },
        customdata=[[_words(one), one.runs] for one in own],
        hovertemplate="%{customdata[0]}<br>%{y:.3f} over %{customdata[1]} runs<extra></extra>",
    )


def _words(one: Setting) -> str:
    varied = "".join(f", {key} {value}" for key, value in one.varied.items())
    return token_label(
        f"{one.method}, P = {one.length}, from {one.init}, rate {one.learning_rate:.3g}{varied}"
    )
