"""Figures of a map: the vocabulary as a density, prompt rows as stars."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from probe.analysis.layouts import METHOD_NAMES
from probe.analysis.maps import Map
from probe.charts.labels import name_label, token_label
from probe.charts.palette import (
    CATEGORIES,
    CHANCE,
    NEUTRAL,
    ON_CELL,
    PROMPT,
    add_legend,
    new_figure,
)

SELECTABLE = 10_000
"""Vocabulary points that can be picked; the density shows the rest."""
_BINS = 90
_LABEL = "rgba(196, 201, 206, 0.85)"
"""Behind words: `ON_CELL` is readable on it whatever it covers."""
_CELLS = np.array([5, 6])
"""Across and up: as many words as can be read beside each other stand on the map."""
_CLEAR_OF_STARS = 0.35
"""Of a cell: words may not cover the rows of prompts."""
_WORD_LETTERS = (4, 10)
_DENSITY = [[0.0, "rgba(128, 128, 128, 0)"], [1.0, "rgba(128, 128, 128, 0.55)"]]


def map_figure(
    mapped: Map,
    *,
    clusters: Sequence[int] | None = None,
    names: Mapping[int, str] | None = None,
    found: Collection[int] = (),
) -> go.Figure:
    """Vocabulary density, up to 10,000 vocabulary points and the prompt rows.

    Every point carries a stable id as `customdata[0]`: `v:ID` for a vocabulary token,
    `p:PROMPT:POSITION` (indices) for a prompt row. Dragging moves the map: while a lasso or a box
    is the tool, Streamlit reports a click as a selection of nothing.

    Args:
        mapped: what to draw.
        clusters: [n] label of each prompt row, to colour by in place of the prompt; −1 is noise.
        names: what clusters are called, by label; without one a cluster is called by its number.
        found: vocabulary ids to ring, such as those of a searched token.
    """
    figure = _vocabulary_figure(mapped, height=620)
    figure.add_trace(_vocabulary(mapped, found))
    for trace in _stars(mapped, clusters, names or {}):
        figure.add_trace(trace)
    if found:
        figure.add_trace(_rings(mapped, found))
    figure.update_layout(clickmode="event+select", dragmode="pan")
    return figure


def trajectory_map(mapped: Map, at: int, tokens: Sequence[str]) -> go.Figure:
    """The paths of a prompt's positions through training, and where they stand at one step.

    Args:
        mapped: of one prompt at S steps, which are S prompts of P rows, the earliest first.
        at: which of them is shown.
        tokens: [P] nearest tokens there.
    """
    paths = mapped.points.reshape(len(mapped.prompts), -1, 2).astype(np.float64)
    # A line breaks where a coordinate is missing: one trace holds all paths.
    lines = np.pad(paths.swapaxes(0, 1), ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)
    figure = _vocabulary_figure(mapped, height=460)
    figure.add_scatter(
        x=lines[..., 0].ravel(), y=lines[..., 1].ravel(), mode="lines", name="path of a position",
        line={"color": CHANCE, "width": 1}, opacity=0.6, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=paths[0, :, 0], y=paths[0, :, 1], mode="markers", name="start", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 8, "color": CHANCE},
    )  # fmt: skip
    figure.add_scatter(
        x=paths[at, :, 0], y=paths[at, :, 1], mode="markers", name="at this step",
        marker={"symbol": "star", "size": 12, "color": PROMPT},
        customdata=[[place, token_label(token)] for place, token in enumerate(tokens)],
        hovertemplate="position %{customdata[0]}<br>nearest: %{customdata[1]}<extra></extra>",
    )  # fmt: skip
    return figure


def _vocabulary_figure(mapped: Map, height: int) -> go.Figure:
    """What is drawn under the rows of prompts: where tokens lie dense, and words spread over it."""
    figure = new_figure(height=height, l=60, t=40, b=80)
    figure.update_layout(
        title={"text": METHOD_NAMES[mapped.method], "x": 0, "y": 0.985, "font": {"size": 14}}
    )
    figure.add_trace(_density(mapped))
    for place, word in _words(mapped):
        figure.add_annotation(
            x=place[0], y=place[1], text=token_label(word), showarrow=False,
            font={"size": 10, "color": ON_CELL}, bgcolor=_LABEL, borderpad=1,
        )  # fmt: skip
    titles: tuple[str, ...] = ("", "")
    if mapped.explained is not None:
        first, second = mapped.explained
        titles = tuple(
            f"PCA axis {axis} ({100 * share:.1f} % of variance)"
            for axis, share in enumerate((first, second), 1)
        )
    plain = {"showgrid": False, "zeroline": False, "showticklabels": mapped.method == "pca"}
    figure.update_xaxes(title=titles[0], **plain)
    figure.update_yaxes(title=titles[1], **plain)
    add_legend(figure)
    figure.update_layout(hovermode="closest", legend={"itemsizing": "constant"})
    return figure


def variance_bars(mapped: Map) -> go.Figure:
    """Shares of the variance of the first principal axes; the map shows the first two.

    Raises:
        ValueError: the map is not PCA's.
    """
    if not mapped.spectrum:
        raise ValueError(
            f"only PCA has shares of variance, the map is of {METHOD_NAMES[mapped.method]}"
        )
    axes = list(range(1, len(mapped.spectrum) + 1))
    figure = new_figure(height=220, l=44, t=28, b=50)
    figure.add_bar(
        x=axes,
        y=[100 * share for share in mapped.spectrum],
        marker={"color": [PROMPT if axis <= 2 else NEUTRAL for axis in axes], "line": {"width": 0}},
        text=[f"{share:.1%}" for share in mapped.spectrum],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="axis %{x}: %{y:.2f} % of the variance<extra></extra>",
    )
    figure.update_xaxes(title="principal axis", tickvals=axes, showgrid=False)
    figure.update_yaxes(title="% of variance", rangemode="tozero", nticks=4)
    return figure


def _density(mapped: Map) -> go.Heatmap:
    first, second = (mapped.background[:, axis].astype(np.float64) for axis in (0, 1))
    counts, x, y = np.histogram2d(first, second, bins=_BINS)
    return go.Heatmap(
        z=np.log1p(counts.T), x=(x[1:] + x[:-1]) / 2, y=(y[1:] + y[:-1]) / 2,
        colorscale=_DENSITY, showscale=False, hoverinfo="skip", zsmooth="best",
    )  # fmt: skip


def _vocabulary(mapped: Map, found: Collection[int]) -> go.Scattergl:
    """Evenly spread rows, what was searched for among them."""
    count = len(mapped.background)
    shown = np.linspace(0, count - 1, min(count, SELECTABLE)).round().astype(np.int64)
    extra = np.flatnonzero(np.isin(mapped.background_ids, list(found)))
    shown = np.union1d(shown[: max(0, SELECTABLE - len(extra))], extra)
    ids = mapped.background_ids[shown]
    return go.Scattergl(
        x=mapped.background[shown, 0], y=mapped.background[shown, 1], mode="markers",
        name="vocabulary", marker={"size": 3, "color": NEUTRAL, "opacity": 0.35},
        customdata=np.array(  # a list would be checked item by item
            [[f"v:{i}", token_label(mapped.vocabulary.tokens[i])] for i in ids], dtype=object
        ),
        hovertemplate="%{customdata[1]}<extra></extra>",
        selected={"marker": {"size": 10, "opacity": 1, "color": CHANCE}},
        unselected={"marker": {"opacity": 0.35}},
    )  # fmt: skip


def _stars(
    mapped: Map, clusters: Sequence[int] | None, called: Mapping[int, str]
) -> list[go.Scattergl]:
    groups = mapped.owners if clusters is None else np.asarray(clusters)
    present = np.unique(groups)
    names = {
        int(group): name_label(mapped.prompts[group], most=24)
        if clusters is None
        else _cluster_name(int(group), called)
        for group in present
    }
    if len(present) > len(CATEGORIES):  # nobody tells so many colours apart
        names, groups, present = {0: "prompt rows"}, np.zeros(len(groups), int), np.array([0])
    return [_star(mapped, groups == group, names[int(group)], int(group)) for group in present]


def _cluster_name(label: int, called: Mapping[int, str]) -> str:
    if label < 0:
        return "in no cluster"
    return token_label(called.get(label, f"cluster {label}"), most=32)


def _star(mapped: Map, which: np.typing.NDArray[np.bool_], name: str, group: int) -> go.Scattergl:
    rows = np.flatnonzero(which)
    colour = NEUTRAL if group < 0 else CATEGORIES[group % len(CATEGORIES)]
    custom: list[list[Any]] = [
        [
            f"p:{mapped.owners[row]}:{mapped.positions[row]}",
            token_label(mapped.prompts[mapped.owners[row]]),
            int(mapped.positions[row]),
            token_label(
                "  ".join(map(mapped.vocabulary.tokens.__getitem__, mapped.neighbours.ids[row][:5]))
            ),
        ]
        for row in rows
    ]
    return go.Scattergl(
        x=mapped.points[rows, 0], y=mapped.points[rows, 1], mode="markers", name=name,
        marker={
            "symbol": "star", "size": 12, "color": colour,
            "line": {"width": 0.5, "color": "rgba(255, 255, 255, 0.8)"},
        },
        customdata=custom,
        hovertemplate="%{customdata[1]}<br>position %{customdata[2]}<br>nearest: %{customdata[3]}"
        "<extra></extra>",
        selected={"marker": {"size": 20}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _words(mapped: Map) -> list[tuple[NDArray[np.float64], str]]:
    """Words spread over the map, with their places: the one nearest to the middle of each cell."""
    tokens = [mapped.vocabulary.tokens[i] for i in mapped.background_ids]
    marked = any(token.startswith("␣") for token in tokens)  # else every token may begin a word
    shown = [
        n for n, token in enumerate(tokens) if _is_word(token) and token.startswith("␣") == marked
    ]
    places = np.asarray(mapped.background[shown], dtype=np.float64)
    if not len(places):
        return []
    seen = np.concatenate([mapped.background, mapped.points]).astype(np.float64)
    low, high = seen.min(axis=0), seen.max(axis=0)  # a cell is as wide on the screen, too
    span = np.maximum(high - low, 1e-12)
    grid = (places - low) / span * _CELLS
    cells = np.floor(grid).astype(np.int64)
    inside = ((cells >= 0) & (cells < _CELLS)).all(axis=1)
    for star in (np.asarray(mapped.points, dtype=np.float64) - low) / span * _CELLS:
        inside &= np.abs(grid - star).max(axis=1) > _CLEAR_OF_STARS
    off_middle = np.abs(grid - cells - 0.5).max(axis=1)
    best: dict[tuple[int, int], int] = {}
    for n in sorted(np.flatnonzero(inside), key=lambda n: float(off_middle[n])):
        best.setdefault((int(cells[n, 0]), int(cells[n, 1])), int(n))
    return [(places[n], tokens[shown[n]].strip("␣")) for n in best.values()]


def _is_word(token: str) -> bool:
    """Whether a token is a whole word that tells somebody something."""
    bare = token.removeprefix("␣")
    return bare.isalpha() and bare.isascii() and _WORD_LETTERS[0] <= len(bare) <= _WORD_LETTERS[1]


def _rings(mapped: Map, found: Collection[int]) -> go.Scattergl:
    places = mapped.background[np.isin(mapped.background_ids, list(found))]
    return go.Scattergl(
        x=places[:, 0], y=places[:, 1], mode="markers", name="found", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 16, "color": CHANCE, "line": {"width": 2}},
    )  # fmt: skip
