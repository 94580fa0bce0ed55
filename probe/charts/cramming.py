"""Figures of texts in rows: what every token costs, and how far training came."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import plotly.graph_objects as go

from probe.analysis.cramming import CrammedText
from probe.charts.labels import token_label
from probe.charts.palette import CATEGORIES, add_legend, new_figure


def cramming_nats(texts: Sequence[CrammedText]) -> go.Figure:
    """Minus the log-likelihood of every token with the rows, dotted without them.

    Crosses are tokens that are not the likeliest ones; a line stands behind what is held.
    """
    figure = new_figure(height=360)
    for number, (text, colour) in enumerate(zip(texts, cycle(CATEGORIES), strict=False), start=1):
        places = list(range(1, len(text.positions) + 1))
        tokens = [token_label(one.token) for one in text.positions]
        for name, costs, dash in (
            ("with the rows", [one.nats for one in text.positions], "solid"),
            ("without", [one.nats_without for one in text.positions], "dot"),
        ):
            figure.add_scatter(
                x=places, y=costs, mode="lines+markers" if dash == "solid" else "lines",
                name=f"text {number} {name}", line={"color": colour, "dash": dash, "width": 1.5},
                marker={
                    "symbol": ["circle" if one.right else "x" for one in text.positions],
                    "size": 6, "color": colour,
                },
                customdata=tokens,
                hovertemplate=f"text {number} {name}<br>token %{{x}}: %{{customdata}}"
                "<br>%{y:.2f} nats<extra></extra>",
            )  # fmt: skip
        figure.add_vline(x=text.longest + 0.5, line={"color": colour, "dash": "dash", "width": 1})
    add_legend(figure, above=True)
    figure.update_xaxes(title="token of the text", tickformat="d")
    figure.update_yaxes(title="minus log-likelihood (nats)", rangemode="tozero")
    return figure


def cramming_growth(texts: Sequence[CrammedText]) -> go.Figure:
    """Tokens of the longest beginning that was held, over updates."""
    figure = new_figure(height=300)
    for number, (text, colour) in enumerate(zip(texts, cycle(CATEGORIES), strict=False), start=1):
        figure.add_scatter(
            x=[0, *(step for step, _ in text.growth)], y=[0, *(held for _, held in text.growth)],
            mode="lines+markers", name=f"text {number}",
            line={"color": colour, "shape": "hv"}, marker={"size": 5, "color": colour},
            hovertemplate=f"text {number}<br>update %{{x}}<br>%{{y}} tokens held<extra></extra>",
        )  # fmt: skip
    figure.update_layout(showlegend=len(texts) > 1)
    figure.update_xaxes(title="update", tickformat="d")
    figure.update_yaxes(title="tokens held", rangemode="tozero", tickformat="d")
    return figure
