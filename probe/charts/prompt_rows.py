"""Figures of a prompt's own rows: how long they are, how far each moved, when its token changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import plotly.graph_objects as go

from probe.analysis.starts import Drift
from probe.charts.labels import token_label
from probe.charts.palette import CHANCE, NEUTRAL, PROMPT, VOCABULARY, new_figure


def norm_bars(
    norms: Sequence[float], *, vocabulary_range: tuple[float, float] | None = None
) -> go.Figure:
    """The norm of each position, over a band where the vocabulary's norms lie.

    Args:
        norms: [P].
        vocabulary_range: 5th and 95th percentile of the vocabulary's norms, where known.
    """
    figure = new_figure(height=220)
    if vocabulary_range is not None:
        low, high = vocabulary_range
        figure.add_hrect(
            y0=low, y1=high, fillcolor=VOCABULARY, opacity=0.2, line_width=0, layer="below"
        )
        figure.add_annotation(
            text="90 % of vocabulary tokens", x=1, xref="paper", xanchor="right", y=high,
            yanchor="bottom", showarrow=False, font={"color": VOCABULARY, "size": 12},
        )  # fmt: skip
    figure.add_bar(
        x=list(range(len(norms))),
        y=[float(norm) for norm in norms],
        marker={"color": PROMPT, "line": {"width": 0}},
        hovertemplate="position %{x}<br>norm %{y:.4g}<extra></extra>",
    )
    figure.update_xaxes(title="position", showgrid=False, tickformat="d")
    figure.update_yaxes(title="norm", rangemode="tozero", nticks=5)
    return figure


Quantity = Literal["distance", "cosine", "norm"]
_TITLES: dict[Quantity, str] = {
    "distance": "distance from the first step",
    "cosine": "cosine with the first step",
    "norm": "norm",
}


def drift_lines(drift: Drift, quantity: Quantity = "distance") -> go.Figure:
    """One thin line per position and their median, over steps.

    Args:
        drift: what to draw.
        quantity: `distance`, `cosine` or `norm`.
    """
    values = getattr(drift, quantity)
    figure = new_figure(height=340)
    for position in range(values.shape[1]):
        tokens = [token_label(row[position]) for row in drift.tokens] or [""] * len(drift.steps)
        figure.add_scatter(
            x=drift.steps, y=values[:, position], mode="lines",
            line={"color": NEUTRAL, "width": 1}, opacity=0.5, customdata=tokens,
            hovertemplate=f"position {position}<br>step %{{x}}<br>%{{y:.4g}}<br>%{{customdata}}"
            "<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=drift.steps, y=np.median(values, axis=1), mode="lines+markers", name="median",
        line={"color": PROMPT, "width": 3},
        hovertemplate="median<br>step %{x}<br>%{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="step", tickformat="d")
    figure.update_yaxes(title=_TITLES[quantity])
    return figure


def drift_changes(drift: Drift) -> go.Figure:
    """How many positions have another nearest token than one checkpoint before.

    Raises:
        ValueError: the drift was followed without a vocabulary.
    """
    changes = drift.changes
    if changes is None:
        raise ValueError("nearest tokens were not followed: give drift a vocabulary")
    figure = new_figure(height=260)
    length = drift.distance.shape[1]
    figure.add_bar(
        x=[str(step) for step in drift.steps[1:]], y=changes[1:],
        marker={"color": CHANCE, "line": {"width": 0}},
        hovertemplate=f"step %{{x}}<br>%{{y}} of {length} positions<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="step", type="category", showgrid=False)
    figure.update_yaxes(title=f"changed, of {length} positions", rangemode="tozero", nticks=5)
    return figure
