"""Figure of a pruning: scores by how many rows were kept."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from probe.analysis.pruning import KeptRows, PromptScore
from probe.charts.palette import CATEGORIES, NEUTRAL, new_figure


def pruning_lines(
    kept: Sequence[KeptRows], unpruned: PromptScore, *, length: int, metric: str
) -> go.Figure:
    """Validation score by rows kept with its interval, pruned and retrained; unpruned in grey.

    Args:
        kept: the prunings.
        unpruned: the whole prompt.
        length: its rows, P.
        metric: what a score is.
    """
    figure = new_figure(height=360)
    rows = [len(one.rows) for one in kept]
    _add(figure, rows, [one.pruned for one in kept], "pruned", CATEGORIES[1])
    _add(figure, rows, [one.retrained for one in kept], "rewound and retrained", CATEGORIES[0])
    _add(figure, [length], [unpruned], "before", NEUTRAL)
    figure.add_hline(y=unpruned.score.value, line={"color": NEUTRAL, "dash": "dash"})
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12, "x": 0})
    figure.update_xaxes(title="rows kept", tickformat="d")
    figure.update_yaxes(title=f"validation {metric.replace('_', ' ')}", nticks=6)
    return figure


def _add(
    figure: go.Figure, rows: Sequence[int], scores: Sequence[PromptScore], name: str, colour: str
) -> None:
    values = [one.score.value for one in scores]
    ends = [one.score.ends for one in scores]
    figure.add_scatter(
        x=rows, y=values, mode="lines+markers", name=name, line={"color": colour},
        marker={"size": 6, "color": colour}, customdata=ends,
        error_y={
            "type": "data", "symmetric": False, "thickness": 1, "width": 0, "color": colour,
            "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
        },
        hovertemplate=f"{name}, %{{x}} rows<br>%{{y:.3f}} "
        "[%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>",
    )  # fmt: skip
