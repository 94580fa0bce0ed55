"""Figure of a knock-out: what is lost when layers do not see the prompt."""

from __future__ import annotations

import plotly.graph_objects as go

from probe.analysis.attention import RANGES, LayerKnockOut, Range
from probe.charts.palette import CATEGORIES, NEUTRAL, new_figure

_DASHES: dict[Range, str] = {"window": "solid", "up_to": "dash", "onward": "dot"}


def knock_out_lines(found: LayerKnockOut) -> go.Figure:
    """Change of the loss by layer with its interval, one line for each range of layers.

    The grey line is what is lost where no layer sees the prompt.
    """
    figure = new_figure(height=360)
    layers = [one.layer for one in found.layers]
    for colour, kind in zip(CATEGORIES, RANGES, strict=False):
        changes = [getattr(one, kind).loss_nats for one in found.layers]
        figure.add_scatter(
            x=layers, y=[change.value for change in changes], mode="lines+markers",
            name=_name(kind, found.window), line={"color": colour, "dash": _DASHES[kind]},
            marker={"size": 5, "color": colour}, customdata=[change.ends for change in changes],
            error_y={
                "type": "data", "symmetric": False, "thickness": 1, "width": 0, "color": colour,
                "array": [change.ends[1] - change.value for change in changes],
                "arrayminus": [change.value - change.ends[0] for change in changes],
            },
            hovertemplate=f"{_name(kind, found.window)}, layer %{{x}}<br>%{{y:+.3f}} nats "
            "[%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=found.everywhere.loss_nats.value, line={"color": NEUTRAL, "dash": "dash"})
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12, "x": 0})
    figure.update_xaxes(title="layer", tickformat="d")
    what = "loss change" if found.measured == "loss" else "divergence from the whole prompt"
    figure.update_yaxes(title=f"{what} (nats)", nticks=6)
    return figure


def _name(kind: Range, window: int) -> str:
    if kind == "window":
        return "this layer" if window == 1 else f"{window} layers around it"
    return "up to this layer" if kind == "up_to" else "from this layer on"
