"""Figures of a decoding: position × rank map, one position's neighbours, score distributions."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import plotly.graph_objects as go

from probe.analysis.decoding import Decoding, ReferenceScores
from probe.arrays import Float64Array
from probe.charts.labels import axis_title, score_text, token_label
from probe.charts.palette import (
    CHANCE,
    CLEAR,
    GREY_TO_BLUE,
    ISOTROPIC,
    ON_CELL,
    PICKED,
    PROMPT,
    VOCABULARY,
    add_legend,
    label_room,
    name_rows,
    new_figure,
)

_ROW_PX = 26
_ROWS_WITH_TEXT = 48
"""Most positions whose tokens are written into the map; longer prompts get thin rows."""
_TEXT_COLUMNS = 40
"""Characters that fit across the map on a telephone."""

_ABSOLUTE = "Grey is the median best score of the Gaussian control, blue that of held-out tokens"
_ON_ONE_SCALE = "the same colours for every prompt on this model"
"""By cosine only: other scores of a control depend on the norms of the prompt it is made for."""
_RELATIVE = "Grey is the farthest neighbour shown, blue the closest."
_INDISTINCT = (
    f"{_RELATIVE} No absolute scale is possible: tokens of this vocabulary lie no closer to each "
    "other than the Gaussian control lies to them."
)


def position_rank_map(decoding: Decoding, *, found: Collection[tuple[int, int]] = ()) -> go.Figure:
    """Every position's neighbours, one row per position, nearest at the left.

    `colour_meaning` says what the colours show. Invisible squares over the cells make them
    clickable, which heatmap cells are not; each carries its position as `customdata[0]`.

    Args:
        decoding: what to draw.
        found: (position, rank) of cells to frame, such as those that hold a searched token.
    """
    columns = max(len(p.neighbours) for p in decoding.positions)
    tall = len(decoding.positions) <= _ROWS_WITH_TEXT
    height = 110 + len(decoding.positions) * (_ROW_PX if tall else 10)
    figure = new_figure(height, l=50, t=50, b=46)
    figure.add_trace(_heat(decoding, columns))
    figure.add_trace(_squares(decoding, _TEXT_COLUMNS // columns if tall else 0))
    if found:
        figure.add_trace(_frames(found))
    figure.update_layout(clickmode="event+select", hovermode="closest", hoverdistance=60)
    figure.update_xaxes(
        title="rank", side="top", tickformat="d", showgrid=False, zeroline=False,
        range=[0.5, columns + 0.5], dtick=1, fixedrange=True,
    )  # fmt: skip
    figure.update_yaxes(
        title="position", tickformat="d", showgrid=False, zeroline=False, fixedrange=True,
        range=[len(decoding.positions) - 0.5, -0.5], dtick=1 if tall else 10,
    )  # fmt: skip
    return figure


def colour_meaning(decoding: Decoding) -> str:
    """What the colours of `position_rank_map` show, in a sentence or two."""
    return _colour_range(decoding)[3]


def neighbour_bars(decoding: Decoding, position: int) -> go.Figure:
    """The scores of one position's neighbours, beside what the reference samples reach."""
    neighbours = decoding.positions[position].neighbours
    labels = [token_label(n.token, most=16) for n in neighbours]
    figure = new_figure(height=140 + 28 * len(labels), l=label_room(labels), t=40, b=50)
    figure.add_bar(
        x=[n.score for n in neighbours],
        y=list(range(len(labels))),
        orientation="h",
        marker={"color": PROMPT, "line": {"width": 0}},
        showlegend=False,
        text=[score_text(n.score, decoding.metric) for n in neighbours],
        textposition="auto",
        customdata=[[token_label(n.token), n.id] for n in neighbours],
        hovertemplate="%{customdata[0]}<br>id %{customdata[1]}<br>%{text}<extra></extra>",
    )
    name_rows(figure, labels)
    figure.update_yaxes(showgrid=False)
    figure.update_xaxes(
        title=axis_title(decoding.metric, higher_is_better=decoding.higher_is_better), nticks=6
    )
    if decoding.reference is not None:
        _mark_medians(figure, decoding, len(labels) - 0.5)
    return figure


def score_violins(decoding: Decoding) -> go.Figure:
    """Best-neighbour scores of the prompt's rows and of the three reference samples.

    Raises:
        ValueError: the decoding was made without controls.
    """
    if decoding.reference is None:
        raise ValueError("this decoding was made without controls: decode with controls=True")
    figure = new_figure(height=380, l=54, t=24, b=44)
    for name, scores, colour in samples(decoding.reference):
        is_prompt = colour == PROMPT
        figure.add_violin(
            y=scores,
            x0=f"{name}<br>n = {len(scores):,}",
            line={"color": colour, "width": 1.5},
            spanmode="hard",
            meanline={"visible": False},
            box={"visible": not is_prompt, "width": 0.12},
            points="all" if is_prompt else False,
            pointpos=0,
            jitter=0.5,
            marker={"size": 7, "opacity": 0.8},
            customdata=list(range(len(scores))) if is_prompt else None,
            hoveron="points" if is_prompt else "violins",
            hovertemplate="position %{customdata}<br>%{y:.4g}<extra></extra>"
            if is_prompt
            else None,
        )
    title = axis_title(decoding.metric, higher_is_better=decoding.higher_is_better)
    figure.update_yaxes(title=f"best {title}", zeroline=False)
    figure.update_xaxes(showgrid=False)
    return figure


def _heat(decoding: Decoding, columns: int) -> go.Heatmap:
    scores = [
        [n.score for n in p.neighbours] + [None] * (columns - len(p.neighbours))
        for p in decoding.positions
    ]
    low, high, ticks, _ = _colour_range(decoding)
    sign = 1 if decoding.higher_is_better else -1
    return go.Heatmap(
        z=[[None if score is None else sign * score for score in row] for row in scores],
        x=list(range(1, columns + 1)),
        y=[p.position for p in decoding.positions],
        zmin=low,
        zmax=high,
        colorscale=GREY_TO_BLUE,
        xgap=2,
        ygap=2,
        hoverinfo="skip",
        colorbar={
            # Shorter than the map: the words at its ends, which stand under them, need room.
            "orientation": "h", "thickness": 10, "y": 0, "yanchor": "top", "len": 0.6, "ypad": 6,
            "tickvals": [low, high], "ticktext": ticks, "ticklabelposition": "outside",
            "outlinewidth": 0,
        },
    )  # fmt: skip


def _colour_range(decoding: Decoding) -> tuple[float, float, list[str], str]:
    sign = 1 if decoding.higher_is_better else -1
    reference = decoding.reference
    if reference is not None:
        chance, real = float(np.median(reference.chance)), float(np.median(reference.vocabulary))
        if sign * chance < sign * real:
            names = (("Gaussian control", chance), ("held-out tokens", real))
            texts = [f"{name}: {score_text(value, decoding.metric)}" for name, value in names]
            common = f": {_ON_ONE_SCALE}" if decoding.metric == "cosine" else ""
            return sign * chance, sign * real, texts, f"{_ABSOLUTE}{common}."
    scores = [sign * n.score for p in decoding.positions for n in p.neighbours]
    low, high = min(scores), max(scores)
    high = high if high > low else math.nextafter(low, math.inf)
    ticks = [score_text(sign * value, decoding.metric) for value in (low, high)]
    return low, high, ticks, _RELATIVE if reference is None else _INDISTINCT


def _squares(decoding: Decoding, characters: int) -> go.Scatter:
    cells = [(p, rank, n) for p in decoding.positions for rank, n in enumerate(p.neighbours, 1)]
    return go.Scatter(
        x=[rank for _, rank, _ in cells],
        y=[p.position for p, _, _ in cells],
        mode="markers+text" if characters >= 4 else "markers",
        text=[token_label(n.token, most=max(characters, 4)) for _, _, n in cells],
        textfont={"size": 12, "color": ON_CELL},
        marker={"symbol": "square", "size": 22, "color": CLEAR},
        **PICKED,
        customdata=[
            [p.position, rank, token_label(n.token), score_text(n.score, decoding.metric), n.id]
            for p, rank, n in cells
        ],
        hovertemplate=(
            "<b>%{customdata[2]}</b><br>position %{customdata[0]}, rank %{customdata[1]}"
            "<br>score %{customdata[3]}<br>token id %{customdata[4]}<extra></extra>"
        ),
    )


def _frames(found: Collection[tuple[int, int]]) -> go.Scatter:
    return go.Scatter(
        x=[rank for _, rank in found],
        y=[position for position, _ in found],
        mode="markers",
        marker={"symbol": "square-open", "size": 22, "color": CHANCE, "line": {"width": 2}},
        hoverinfo="skip",
    )


def samples(reference: ReferenceScores) -> list[tuple[str, Float64Array, str]]:
    """The prompt and the three reference samples: name, best scores [n] and colour."""
    return [
        ("this prompt", reference.prompt, PROMPT),
        ("held-out tokens", reference.vocabulary, VOCABULARY),
        ("Gaussian control", reference.chance, CHANCE),
        ("isotropic control", reference.isotropic, ISOTROPIC),
    ]


def _mark_medians(figure: go.Figure, decoding: Decoding, bottom: float) -> None:
    assert decoding.reference is not None
    for name, scores, colour in samples(decoding.reference)[1:]:
        median = float(np.median(scores))
        figure.add_scatter(
            x=[median, median],
            y=[-0.5, bottom],
            mode="lines",
            line={"color": colour, "dash": "dot", "width": 2},
            name=f"{name}, median {score_text(median, decoding.metric)}",
            showlegend=True,
            hoverinfo="name",
        )
    add_legend(figure, above=True)
    figure.update_layout(legend={"itemclick": False})
