"""Figures of what prompts answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from probe.charts.labels import token_label
from probe.charts.palette import ON_CELL, new_figure

_LABEL_COLOURS = ("#56B4E9", "#E69F00", "#3DB58C", "#CC79A7", "#F0E442", "#B9C3CC", "#E08A55")
"""Light enough for dark letters, on either page."""
_ROOM = 0.12
"""Least share of a bar that holds its word."""


def probability_bars(
    names: Sequence[str], probabilities: Sequence[Mapping[str, float]]
) -> go.Figure:
    """The probability of each label word, one full bar per way of asking.

    Args:
        names: of the ways, from top to bottom.
        probabilities: of each way, by label word; they sum to 1.
    """
    figure = new_figure(height=70 + 46 * len(names))
    rows = list(range(len(names)))
    words = list(dict.fromkeys(word for one in probabilities for word in one))
    for number, word in enumerate(words):
        shares = [one.get(word, 0.0) for one in probabilities]
        figure.add_bar(
            x=shares,
            y=rows,
            orientation="h",
            name=token_label(word),
            marker={
                "color": _LABEL_COLOURS[number % len(_LABEL_COLOURS)],
                "line": {"color": ON_CELL, "width": 0.5},
            },
            text=[_text(word, share) for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ON_CELL, "size": 13},
            customdata=[token_label(name) for name in names],
            hovertemplate=f"%{{customdata}}<br>{token_label(word)} %{{x:.3f}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_xaxes(range=[0, 1], title="probability among the label words", nticks=6)
    # Two prompts may share a name, so the axis counts and the names are only its labels.
    figure.update_yaxes(
        tickvals=rows,
        ticktext=[token_label(name, most=22) for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
    )
    return figure


def _text(word: str, share: float) -> str:
    return f"{token_label(word, most=14)} {share:.2f}" if share >= _ROOM else ""
