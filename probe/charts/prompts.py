"""Figures of one prompt's own rows."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from probe.charts.palette import PROMPT, VOCABULARY, new_figure


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
