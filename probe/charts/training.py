"""Figures of training runs over their steps, of one or of many, and of a grid's scores by cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from probe.analysis.grids import Cost, GridResult, Setting
from probe.bootstrap import Estimate
from probe.charts.curves import Curves, Series
from probe.charts.labels import token_label
from probe.charts.palette import (
    CATEGORIES,
    CHANCE,
    NEUTRAL,
    PROMPT,
    add_legend,
    interval_bars,
    new_figure,
)
from probe.requests.train_methods import method_words

_LOW_TO_HIGH = [[0.0, CHANCE], [0.5, "#9A9A9A"], [1.0, PROMPT]]
_DASHES = ("solid", "dash", "dot", "dashdot")
"""Of runs side by side: they change after as many as there are colours."""


def loss_curves(runs: Sequence[Curves], *, steps: int | None = None) -> go.Figure:
    """Training loss, as a running mean, and validation loss with markers.

    Args:
        runs: one is drawn by kind of loss, several by run.
        steps: end of the axis; the last one noted when None.
    """
    figure = _figure("loss (nats)", steps, runs)
    for run, colour, dash in _styled(runs):
        loss = run.loss_nats.thinned()
        alone = len(runs) == 1
        if alone:
            _line(figure, loss, "batches", colour, width=1)
            figure.data[-1].opacity = 0.35
        label = "training, running mean" if alone else run.name
        _line(figure, loss.smoothed(), label, colour, dash=dash, width=2.5)
        other = CHANCE if alone else colour
        validation = "validation" if alone else f"{run.name}, validation"
        _line(figure, run.validation_nats, validation, other, dash="dot", markers=True)
        if not alone:
            figure.data[-1].showlegend = False
    return figure


def score_curves(
    runs: Sequence[Curves], *, steps: int | None = None, alone: float | None = None
) -> go.Figure:
    """The validation metric.

    Args:
        runs: of one metric, or the axis names them all.
        steps: end of the axis; the last one noted when None.
        alone: what the model scores without a prompt, where it is known.
    """
    names = dict.fromkeys(run.metric.replace("_", " ") for run in runs if run.metric)
    figure = _figure(f"validation {' / '.join(names) or 'score'}", steps, runs)
    for run, colour, dash in _styled(runs):
        _line(figure, run.score, run.name, colour, dash=dash, markers=True)
    if alone is not None:
        figure.add_hline(y=alone, line={"color": NEUTRAL, "dash": "dash", "width": 1.5})
        figure.add_annotation(
            text="the model alone", x=1, xref="paper", xanchor="right", y=alone, yanchor="top",
            showarrow=False, font={"size": 12},
        )  # fmt: skip
    if set(names) <= {"accuracy", "macro f1"}:  # or nothing yet
        figure.update_yaxes(range=[0, 1.04])
    return figure


def norm_curves(runs: Sequence[Curves], *, steps: int | None = None) -> go.Figure:
    """Mean length of the injected rows."""
    figure = _figure("mean norm of the rows", steps, runs)
    for run, colour, dash in _styled(runs):
        _line(figure, run.norm.thinned(), run.name, colour, dash=dash)
    figure.update_yaxes(rangemode="tozero")
    return figure


def moved_curves(runs: Sequence[Curves], *, steps: int | None = None) -> go.Figure:
    """Share of positions whose nearest token is another than at the start."""
    figure = _figure("nearest token changed (%)", steps, runs)
    for run, colour, dash in _styled(runs):
        share = Series(run.moved.steps, 100 * run.moved.values)
        _line(figure, share, run.name, colour, dash=dash, markers=True)
    figure.update_yaxes(range=[-3, 104])
    return figure


def run_coordinates(
    settings: Mapping[str, Sequence[object]], scores: Sequence[float], *, score: str
) -> go.Figure:
    """Parallel coordinates: one line per run through its settings to its score.

    Drag along an axis to pick out runs, drag its name to move it.

    Args:
        settings: values of each setting, run by run; words become ticks.
        scores: one per run; they colour the lines, from orange for the lowest to blue.
        score: what they are.
    """
    figure = new_figure(height=440)
    axes = [_axis(name, values) for name, values in settings.items()]
    axes.append({"label": token_label(score), "values": list(scores)})
    figure.add_trace(
        go.Parcoords(
            dimensions=axes,
            line={"color": list(scores), "colorscale": _LOW_TO_HIGH},
            labelangle=-25,
            labelfont={"size": 13},
        )
    )
    figure.update_layout(margin={"l": 64, "r": 36, "t": 96, "b": 24})
    return figure


def _axis(name: str, values: Sequence[object]) -> dict[str, Any]:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"label": token_label(name), "values": list(values)}
    words = [str(value) for value in values]
    known = sorted(set(words), key=_by_size)
    return {
        "label": token_label(name),
        "values": [known.index(word) for word in words],
        "tickvals": list(range(len(known))),
        "ticktext": [token_label(word, most=16) for word in known],
        "range": [-0.5, len(known) - 0.5],
    }


def _by_size(word: str) -> tuple[float, str]:
    """Numbers by size, then other words by the alphabet."""
    try:
        return float(word), word
    except ValueError:
        return math.inf, word


def _figure(title: str, steps: int | None, runs: Sequence[Curves]) -> go.Figure:
    figure = new_figure(height=300 + 20 * len(runs))
    figure.update_layout(hovermode="x unified")
    add_legend(figure)
    figure.update_xaxes(title="step", zeroline=False)
    if steps is not None:
        figure.update_xaxes(range=[0, steps])
    figure.update_yaxes(title=title, zeroline=False)
    return figure


def _styled(runs: Sequence[Curves]) -> list[tuple[Curves, str, str]]:
    styles = itertools.cycle([(colour, dash) for dash in _DASHES for colour in CATEGORIES])
    return [(run, *style) for run, style in zip(runs, styles, strict=False)]


def _line(
    figure: go.Figure,
    series: Series,
    name: str,
    colour: str,
    *,
    dash: str = "solid",
    width: float = 2,
    markers: bool = False,
) -> None:
    figure.add_scatter(
        x=series.steps.tolist(),
        y=series.values.tolist(),
        name=token_label(name, most=40),
        mode="lines+markers" if markers else "lines",
        line={"color": colour, "dash": dash, "width": width},
        marker={"color": colour, "size": 6},
        cliponaxis=not markers,
        hovertemplate="%{y:.4g}",
        showlegend=True,
    )


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
    add_legend(figure)
    return figure


def _points(own: Sequence[Setting], cost: Cost, colour: str, name: str) -> go.Scatter:
    scores = [Estimate(one.test_score, one.interval) for one in own]
    return go.Scatter(
        x=[getattr(one, cost) for one in own],
        y=[one.test_score for one in own],
        error_y=interval_bars(scores, thickness=1, width=3),
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
        f"{method_words(one.method)}, P = {one.length}, from {one.init}, "
        f"rate {one.learning_rate:.3g}{varied}"
    )
