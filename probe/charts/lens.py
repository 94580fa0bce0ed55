"""Figures of a lens: tokens by position and layer, its control, and descriptions."""

from __future__ import annotations

import plotly.graph_objects as go

from probe.analysis.lens import Lens, LensCell
from probe.analysis.patching import Descriptions
from probe.analysis.value_lens import ValueCell, ValueLens
from probe.charts.labels import token_label
from probe.charts.palette import CHANCE, GREY_TO_BLUE, ON_CELL, PROMPT, new_figure

_ROW_PX = 24
_WRITTEN = 12
"""Most layers whose tokens are written into the cells."""


def lens_map(lens: Lens | ValueLens) -> go.Figure:
    """The first token of every position (rows) at every layer (columns); bluer is more probable.

    Of a value lens, the head that is surest. Hovering shows all k tokens.
    """
    surest: dict[tuple[int, int], LensCell | ValueCell] = {}
    for one in lens.cells:
        best = surest.get((one.layer, one.position))
        if best is None or one.tokens[0].probability > best.tokens[0].probability:
            surest[one.layer, one.position] = one
    layers = 1 + max(layer for layer, _ in surest)
    positions = 1 + max(position for _, position in surest)
    cells = [[surest[layer, position] for layer in range(layers)] for position in range(positions)]
    most = max(4, 90 // layers)
    figure = new_figure(height=130 + _ROW_PX * positions)
    figure.add_heatmap(
        z=[[one.tokens[0].probability for one in row] for row in cells],
        zmin=0, zmax=1, colorscale=GREY_TO_BLUE, xgap=2, ygap=2,
        text=[[token_label(one.tokens[0].token, most=most) for one in row] for row in cells],
        texttemplate="%{text}" if layers <= _WRITTEN else None,
        textfont={"color": ON_CELL, "size": 12},
        customdata=[[_hover(one) for one in row] for row in cells],
        hovertemplate="%{customdata}<extra></extra>",
        colorbar={
            "orientation": "h", "thickness": 10, "y": 0, "yanchor": "top", "outlinewidth": 0,
            "tickvals": [0, 1], "ticktext": ["probability 0", "1"],
            "ticklabeloverflow": "hide past div",
        },
    )  # fmt: skip
    plain = {"showgrid": False, "zeroline": False, "tickformat": "d"}
    figure.update_xaxes(title="layer", side="top", range=[-0.5, layers - 0.5], dtick=1, **plain)
    figure.update_yaxes(title="position", range=[positions - 0.5, -0.5], dtick=1, **plain)
    return figure


def lens_overlap(lens: Lens | ValueLens) -> go.Figure:
    """How much of each layer's reading random rows of the same norms give too."""
    figure = new_figure(height=280)
    layers = [one.layer for one in lens.layers]
    lines = (
        ("tokens shared with random rows", CHANCE, "solid", [c.overlap for c in lens.layers]),
        ("first token's probability", PROMPT, "solid", [c.top_probability for c in lens.layers]),
        ("of random rows", PROMPT, "dot", [c.random_top_probability for c in lens.layers]),
    )
    for name, colour, dash, values in lines:
        figure.add_scatter(
            x=layers, y=values, mode="lines+markers", name=name,
            line={"color": colour, "dash": dash, "width": 2}, marker={"size": 7},
        )  # fmt: skip
    figure.update_xaxes(title="layer", tickformat="d", dtick=1)
    figure.update_yaxes(range=[0, 1.02], nticks=6)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}
    )
    return figure


def class_rate_bars(found: Descriptions) -> go.Figure:
    """Class rate of the description from each layer, beside that of random prompts."""
    figure = new_figure(height=300)
    layers = [one.layer for one in found.layers]
    bars = (
        (f"{token_label(found.prompt)}", PROMPT, [one.class_rate for one in found.layers]),
        (
            f"random prompts, mean of {found.draws}",
            CHANCE,
            [one.random_class_rate for one in found.layers],
        ),
    )
    texts = [
        [token_label(one.text.strip(), most=80) for one in found.layers],
        [token_label(one.random_text.strip(), most=80) for one in found.layers],
    ]
    for (name, colour, rates), text in zip(bars, texts, strict=True):
        figure.add_bar(
            x=layers, y=rates, name=name, marker={"color": colour, "line": {"width": 0}},
            customdata=text,
            hovertemplate="layer %{x}: %{y:.2f}<br>%{customdata}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_xaxes(title="layer", tickformat="d", dtick=1, showgrid=False)
    figure.update_yaxes(title="class rate", range=[0, 1.02], nticks=6)
    figure.update_layout(
        showlegend=True,
        barmode="group",
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
    )
    return figure


def _hover(one: LensCell | ValueCell) -> str:
    head = f", head {one.head}" if isinstance(one, ValueCell) else ""
    tokens = [f"{token_label(t.token)}  {t.probability:.3f}" for t in one.tokens]
    return "<br>".join([f"layer {one.layer}{head}, position {one.position}", *tokens])
