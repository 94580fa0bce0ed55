"""Figures of transfer: every prompt on every task, and similarity against score."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from probe.analysis.transfer import Transfer
from probe.charts.labels import token_label
from probe.charts.palette import (
    CHANCE,
    NEUTRAL,
    ON_CELL,
    ORANGE_TO_BLUE,
    PROMPT,
    add_legend,
    name_rows,
    new_figure,
)
from probe.measures import measure_name

_NAME = 22


def transfer_map(transfer: Transfer) -> go.Figure:
    """Scores of prompts (rows) on tasks (columns); a frame marks the task a prompt was trained on.

    Colour is the gain over the model alone: blue above, orange below, grey where there is none.
    """
    gains = transfer.gains
    rows, columns = gains.shape
    limit = float(np.abs(gains).max()) or 1.0
    figure = new_figure(height=150 + 30 * rows)
    figure.add_heatmap(
        z=gains, zmin=-limit, zmax=limit, colorscale=ORANGE_TO_BLUE, xgap=2, ygap=2,
        text=[[f"{score:.3f}" for score in row] for row in transfer.scores],
        texttemplate="%{text}", textfont={"color": ON_CELL},
        customdata=_hover(transfer),
        hovertemplate="%{customdata[0]}<br>on %{customdata[1]}<br>score %{customdata[2]}"
        "<br>gain %{customdata[3]}<extra></extra>",
        colorbar={
            "orientation": "h", "thickness": 10, "y": 0, "yanchor": "top", "outlinewidth": 0,
            "title": {"text": "gain over the model alone", "side": "bottom"},
        },
    )  # fmt: skip
    tasks = [task.name for task in transfer.tasks]
    for i, task in enumerate(transfer.trained_on):
        if task in tasks:
            j = tasks.index(task)
            figure.add_shape(
                type="rect", x0=j - 0.48, x1=j + 0.48, y0=i - 0.46, y1=i + 0.46,
                line={"color": ON_CELL, "width": 2},
            )  # fmt: skip
    plain = {"showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(
        tickvals=list(range(columns)), ticktext=[token_label(t, most=_NAME) for t in tasks],
        side="top", range=[-0.5, columns - 0.5], **plain,
    )  # fmt: skip
    name_rows(figure, [token_label(name, most=_NAME) for name in transfer.prompts])
    figure.update_yaxes(**plain)
    return figure


def correlation_bars(transfer: Transfer) -> go.Figure:
    """Spearman's ρ of every similarity measure with transfer, between tasks and over all sources.

    Raises:
        ValueError: there are no correlations.
    """
    shown = [one for one in transfer.correlations if one.spearman is not None]
    if not shown:
        raise ValueError("there are no correlations: they take four prompts or more with tasks")
    measures = list(dict.fromkeys(one.measure for one in shown))
    figure = new_figure(height=130 + 34 * len(measures))
    kinds = ((False, "sources of other tasks", PROMPT), (True, "all sources", CHANCE))
    for same_task, name, colour in kinds:
        own = [one for one in shown if one.same_task == same_task]
        figure.add_scatter(
            x=[one.spearman for one in own],
            y=[measures.index(one.measure) for one in own],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 11, "symbol": "diamond" if same_task else "circle"},
            customdata=[[one.kendall, one.p_value, one.targets, one.pairs] for one in own],
            hovertemplate="ρ %{x:.3f}, τ %{customdata[0]:.3f}<br>p %{customdata[1]:.3f}"
            "<br>%{customdata[2]} targets, %{customdata[3]} pairs<extra>%{fullData.name}</extra>",
        )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1.5})
    figure.update_xaxes(title="Spearman's ρ with transfer", range=[-1.05, 1.05])
    name_rows(figure, [measure_name(measure) for measure in measures])
    add_legend(figure, above=True)
    return figure


def _hover(transfer: Transfer) -> list[list[list[str]]]:
    columns = len(transfer.tasks)
    cells = [
        [
            token_label(one.prompt),
            token_label(one.task),
            f"{one.score:.3f} [{one.interval[0]:.3f}, {one.interval[1]:.3f}]",
            f"{one.gain:+.3f} [{one.gain_interval[0]:+.3f}, {one.gain_interval[1]:+.3f}]",
        ]
        for one in transfer.cells
    ]
    return [cells[i : i + columns] for i in range(0, len(cells), columns)]
