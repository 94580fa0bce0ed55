"""Figures of a waywardness study: γ, prompt length, model size, and what definitions say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.analysis.waywardness import F1_WANTED, Choice, Waywardness, WaywardRun
from probe.charts.labels import token_label
from probe.charts.palette import CATEGORIES, CHANCE, GRID, NEUTRAL, PROMPT, add_legend, new_figure
from probe.texts import init_words

T = TypeVar("T")


def waywardness_figures(found: Waywardness) -> dict[str, go.Figure]:
    """Every figure the study has data for, by its title."""
    figures = {}
    if found.runs:
        figures["What γ does to accuracy and Prompt F1"] = gamma_curves(found)
    if found.choices:
        figures["Prompt length"] = length_points(found)
    if {"true", "contradictory"} <= {choice.kind for choice in found.choices}:
        figures["True against contradictory definitions"] = definition_bars(found)
    if len({choice.model for choice in found.choices}) > 1:
        figures["Model size"] = size_points(found)
    return figures


def gamma_curves(found: Waywardness) -> go.Figure:
    """Mean test accuracy and Prompt F1 at each γ, over targets and seeds, by task and start.

    γ are set at even steps, 0 among them; bars, of two runs or more, are twice the standard error.
    """
    tasks = list(dict.fromkeys(run.task for run in found.runs))
    gammas = sorted({run.gamma for run in found.runs})
    figure = make_subplots(
        rows=2,
        cols=len(tasks),
        shared_xaxes=True,
        shared_yaxes=True,
        column_titles=[token_label(task) for task in tasks],
        vertical_spacing=0.08,
        figure=new_figure(height=460),
    )
    for column, task in enumerate(tasks, start=1):
        for key, colour in _coloured(found, lambda run: (run.model, run.init)):
            own = [run for run in found.runs if (run.model, run.init) == key and run.task == task]
            for row, name in ((1, "test_accuracy"), (2, "f1")):
                line = _line(own, gammas, name, colour, _start(found, *key))
                line.showlegend = (row, column) == (1, 1)
                figure.add_trace(line, row=row, col=column)
        _draw_references(figure, [run for run in found.runs if run.task == task], column)
    figure.update_xaxes(type="category", gridcolor=GRID)
    figure.update_yaxes(gridcolor=GRID)
    figure.update_xaxes(title="γ", row=2)
    figure.update_yaxes(title="test accuracy", row=1, col=1)
    figure.update_yaxes(title="Prompt F1", range=[-0.04, 1.04], row=2, col=1)
    figure.add_hline(y=F1_WANTED, row=2, line={"color": NEUTRAL, "dash": "dot", "width": 1})
    return _with_legend(figure)


def length_points(found: Waywardness) -> go.Figure:
    """What each target does to the baseline's accuracy, in percent, by its number of tokens."""
    figure = new_figure(height=340)
    for key, colour in _coloured(found, lambda run: (run.model, run.init)):
        for said, symbol in ((True, "circle"), (False, "circle-open")):
            own = [
                choice
                for choice in found.choices
                if (choice.model, choice.init) == key and choice.says_target is said
            ]
            if own:
                words = f"F1 {'above' if said else 'up to'} {F1_WANTED}"
                label = f"{_start(found, *key)}, {words}"
                figure.add_trace(_points(own, lambda one: one.tokens, colour, symbol, label))
    figure.add_hline(y=0, line={"color": NEUTRAL, "dash": "dot", "width": 1})
    figure.update_xaxes(title="tokens of the target and of the prompt, P", rangemode="tozero")
    figure.update_yaxes(title="accuracy change, %")
    return _with_legend(figure)


def size_points(found: Waywardness) -> go.Figure:
    """Change of the baseline's accuracy in percent, by the model's number of parameters."""
    figure = new_figure(height=340)
    for init, colour in _coloured(found, lambda run: run.init):
        own = [choice for choice in found.choices if choice.init == init]
        figure.add_trace(_points(own, lambda one: one.parameters, colour, "circle", _from(init)))
        sizes = sorted({choice.parameters for choice in own})
        changes = [_mean(_change(c.delta) for c in own if c.parameters == size) for size in sizes]
        figure.add_scatter(
            x=sizes, y=changes, mode="lines", line={"color": colour}, showlegend=False,
            hovertemplate="mean %{y:+.1f} %<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="parameters of the model", type="log")
    figure.update_yaxes(title="accuracy change, %")
    return _with_legend(figure)


def definition_bars(found: Waywardness) -> go.Figure:
    """Accuracy constrained to a true and to a contradictory definition, beside γ = 0."""
    tasks = dict.fromkeys(choice.task for choice in found.choices)
    inits = dict.fromkeys(choice.init for choice in found.choices)
    figure = new_figure(height=340)
    labels = [
        [token_label(t) for t in tasks for _ in inits],
        [_from(i) for _ in tasks for i in inits],
    ]
    alone = [
        _mean(run.zero_shot_accuracy for run in found.runs if run.task == task)
        for task in tasks
        for _ in inits
    ]
    series: Sequence[tuple[str, str, str, str]] = (
        ("γ = 0", "true", "baseline_accuracy", NEUTRAL),
        ("constrained to the true definition", "true", "wayward_accuracy", PROMPT),
        ("to the contradictory one", "contradictory", "wayward_accuracy", CHANCE),
    )
    for name, kind, measure, colour in series:
        values = [
            _mean(
                getattr(choice, measure)
                for choice in found.choices
                if (choice.task, choice.init, choice.kind) == (task, init, kind)
            )
            for task in tasks
            for init in inits
        ]
        figure.add_bar(
            x=labels, y=values, name=name, marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{y:.3f}<extra>" + name + "</extra>",
        )  # fmt: skip
    if any(value is not None for value in alone):
        figure.add_scatter(
            x=labels, y=alone, name="without a prompt", mode="markers",
            marker={"symbol": "line-ew-open", "size": 40, "color": NEUTRAL, "line": {"width": 2}},
            hovertemplate="%{y:.3f}<extra>without a prompt</extra>",
        )  # fmt: skip
    figure.update_layout(barmode="group", bargap=max(0.3, 1 - 0.2 * len(labels[0])))
    figure.update_xaxes(showdividers=False)
    figure.update_yaxes(title="test accuracy", range=[0, 1])
    return _with_legend(figure)


def _draw_references(figure: go.Figure, runs: Sequence[WaywardRun], column: int) -> None:
    """What accuracies must pass: the model alone, and the most frequent label."""
    models = dict.fromkeys(run.model for run in runs)
    for model in models:
        own = [run for run in runs if run.model == model]
        on = f", {model}" if len(models) > 1 else ""
        alone = _mean(run.zero_shot_accuracy for run in own)
        _draw_level(figure, alone, f"without a prompt{on}", "dash", column)
    majority = _mean(run.majority_accuracy for run in runs)
    _draw_level(figure, majority, "most frequent label", "dot", column)


def _draw_level(figure: go.Figure, value: float | None, name: str, dash: str, column: int) -> None:
    """A level line with its name in the legend: two levels may be equal."""
    if value is not None:
        figure.add_hline(
            y=value, row=1, col=column, line={"color": NEUTRAL, "dash": dash, "width": 1.5},
            name=token_label(name), showlegend=column == 1,
        )  # fmt: skip


def _change(delta: float | None) -> float | None:
    """A share of the accuracy that is lost as its change in percent."""
    return None if delta is None else -100 * delta


def _line(
    runs: Sequence[WaywardRun], gammas: Sequence[float], measure: str, colour: str, name: str
) -> go.Scatter:
    by_gamma = [[getattr(run, measure) for run in runs if run.gamma == gamma] for gamma in gammas]
    errors = [
        2 * np.std(own, ddof=1) / np.sqrt(len(own)) if len(own) > 1 else None for own in by_gamma
    ]
    return go.Scatter(
        x=[f"{gamma:g}" for gamma in gammas],
        y=[_mean(own) for own in by_gamma],
        error_y={"type": "data", "array": errors, "thickness": 1, "width": 3},
        mode="lines+markers",
        name=name,
        legendgroup=name,
        line={"color": colour, "width": 2},
        customdata=[len(own) for own in by_gamma],
        hovertemplate="γ = %{x}<br>%{y:.3f} over %{customdata} runs<extra>" + name + "</extra>",
    )


def _points(
    own: Sequence[Choice], x: Callable[[Choice], int], colour: str, symbol: str, name: str
) -> go.Scatter:
    return go.Scatter(
        x=[x(choice) for choice in own],
        y=[_change(choice.delta) for choice in own],
        mode="markers",
        name=name,
        marker={"color": colour, "symbol": symbol, "size": 9, "line": {"color": colour}},
        customdata=[
            [token_label(c.task), token_label(c.target, most=60), token_label(c.decoded, most=60)]
            for c in own
        ],
        hovertemplate="%{customdata[0]}, accuracy change %{y:+.1f} %<br>"
        "target: %{customdata[1]}<br>decoded: %{customdata[2]}<extra></extra>",
    )


def _start(found: Waywardness, model: str, init: str) -> str:
    several = len({run.model for run in found.runs}) > 1
    return token_label(f"{model}, " * several + _from(init))


def _from(init: str) -> str:
    return f"from {init_words(init)}"


def _coloured(found: Waywardness, key: Callable[[WaywardRun], T]) -> list[tuple[T, str]]:
    keys = dict.fromkeys(key(run) for run in found.runs)
    return [(one, CATEGORIES[place % len(CATEGORIES)]) for place, one in enumerate(keys)]


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _with_legend(figure: go.Figure) -> go.Figure:
    add_legend(figure)
    figure.update_layout(margin={"t": 28})
    return figure
