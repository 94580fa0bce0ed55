"""Figures of an ablation: what each position is worth, and where the text looks."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from probe.analysis.ablation import Ablation, Kind
from probe.analysis.attention import AttentionMass
from probe.bootstrap import Estimate
from probe.charts.palette import NEUTRAL, ORANGE_TO_BLUE, PROMPT, new_figure

CHANGES: dict[Kind, str] = {
    "removed": "removed",
    "mean": "replaced by the mean row",
    "swapped": "swapped",
}
_CLIP = 3.0
"""Shares are coloured between an eighth and eight times the even one."""


def ablation_bars(ablation: Ablation, kind: Kind = "removed") -> go.Figure:
    """Change of the loss at each position with its interval; blue where the interval leaves out 0.

    Raises:
        ValueError: this kind of change was not made.
    """
    places = [
        (one.position, one.partner, change)
        for one in ablation.positions
        if (change := getattr(one, kind)) is not None
    ]
    if not places:
        raise ValueError(f"no position of {ablation.prompt} was {CHANGES[kind]}")
    changes: list[Estimate] = [change for _, _, change in places]
    figure = new_figure(height=300)
    figure.add_bar(
        x=[position for position, _, _ in places],
        y=[change.value for change in changes],
        marker={
            "color": [PROMPT if change.clear else NEUTRAL for change in changes],
            "line": {"width": 0},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [change.ends[1] - change.value for change in changes],
            "arrayminus": [change.value - change.ends[0] for change in changes],
            "color": NEUTRAL,
            "thickness": 1.5,
            "width": 3,
        },
        customdata=[
            [*change.ends, f" with {partner}" if kind == "swapped" else ""]
            for _, partner, change in places
        ],
        hovertemplate=f"position %{{x}} {CHANGES[kind]}%{{customdata[2]}}<br>%{{y:+.3f}} nats "
        "[%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]<extra></extra>",
    )
    figure.update_xaxes(title="position", showgrid=False, tickformat="d")
    figure.update_yaxes(title=f"loss change when {CHANGES[kind]} (nats)", nticks=6)
    return figure


def attention_map(attention: AttentionMass) -> go.Figure:
    """Attention to each position at each layer against its even share.

    Blue gets more than even attention would give, orange less; a doubling is a step of 1.
    """
    layers, positions = attention.mass.shape
    with np.errstate(divide="ignore"):  # no attention at all is as orange as it gets
        ratio = np.log2(attention.mass / attention.uniform)
    figure = new_figure(height=150 + 22 * layers)
    figure.add_heatmap(
        z=np.clip(ratio, -_CLIP, _CLIP), zmin=-_CLIP, zmax=_CLIP, colorscale=ORANGE_TO_BLUE,
        xgap=1, ygap=1, customdata=np.stack([attention.mass, attention.uniform], axis=-1),
        hovertemplate="layer %{y}, position %{x}<br>attention %{customdata[0]:.4f}"
        "<br>even share %{customdata[1]:.4f}<extra></extra>",
        colorbar={
            "orientation": "h", "thickness": 10, "y": -0.25, "yanchor": "top", "outlinewidth": 0,
            "tickvals": [-_CLIP, 0, _CLIP], "ticktext": ["⅛", "1", "8"],
            "title": {"text": "times the even share", "side": "bottom"},
        },
    )  # fmt: skip
    plain = {"showgrid": False, "zeroline": False, "tickformat": "d"}
    figure.update_xaxes(title="position", range=[-0.5, positions - 0.5], **plain)
    figure.update_yaxes(title="layer", range=[-0.5, layers - 0.5], dtick=1, **plain)
    return figure
