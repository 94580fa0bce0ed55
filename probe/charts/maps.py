"""Figures of a map: the vocabulary as a density, prompt rows as stars."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from probe.analysis.maps import Map
from probe.charts.labels import token_label
from probe.charts.palette import CATEGORIES, CHANCE, NEUTRAL, new_figure

SELECTABLE = 10_000
"""Vocabulary points that can be picked; the density shows the rest."""
_BINS = 90
_DENSITY = [[0.0, "rgba(128, 128, 128, 0)"], [1.0, "rgba(128, 128, 128, 0.55)"]]


def map_figure(
    mapped: Map, *, clusters: Sequence[int] | None = None, found: Collection[int] = ()
) -> go.Figure:
    """Vocabulary density, up to 10,000 vocabulary points and the prompt rows.

    Every point carries a stable id as `customdata[0]`: `v:ID` for a vocabulary token,
    `p:PROMPT:POSITION` (indices) for a prompt row.

    Args:
        mapped: what to draw.
        clusters: [n] label of each prompt row, to colour by in place of the prompt; −1 is noise.
        found: vocabulary ids to ring, such as those of a searched token.
    """
    figure = new_figure(height=620)
    figure.add_trace(_density(mapped))
    figure.add_trace(_vocabulary(mapped, found))
    for trace in _stars(mapped, clusters):
        figure.add_trace(trace)
    if found:
        figure.add_trace(_rings(mapped, found))
    titles = ("", "")
    if mapped.explained is not None:
        first, second = mapped.explained
        titles = (f"axis 1 ({first:.1%} of variance)", f"axis 2 ({second:.1%} of variance)")
    plain = {"showgrid": False, "zeroline": False, "showticklabels": mapped.method == "pca"}
    figure.update_xaxes(title=titles[0], **plain)
    figure.update_yaxes(title=titles[1], **plain)
    figure.update_layout(
        clickmode="event+select", dragmode="lasso", hovermode="closest", showlegend=True,
        margin={"t": 40},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "itemsizing": "constant"},
    )  # fmt: skip
    return figure


def map_caption(mapped: Map) -> str:
    """How the map was made and how far to trust it, in a few sentences."""
    size = f"{len(mapped.points)} prompt rows and {len(mapped.background):,} vocabulary rows"
    near = "" if mapped.method == "pca" else f", {mapped.near} neighbours"
    return (
        f"{mapped.method.upper()} of {size} of {mapped.model}, {mapped.metric}, seed "
        f"{mapped.seed}{near}. Trustworthiness {mapped.trustworthiness:.2f} among "
        f"{mapped.trust_sample} sampled rows (1 is perfect; near 0.5 the map's neighbours say "
        "nothing). Distances on a map are not distances in the model: read neighbours from the "
        "original space."
    )


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
        customdata=[[f"v:{i}", token_label(mapped.vocabulary.tokens[i])] for i in ids],
        hovertemplate="%{customdata[1]}<br>%{customdata[0]}<extra></extra>",
    )  # fmt: skip


def _stars(mapped: Map, clusters: Sequence[int] | None) -> list[go.Scattergl]:
    groups = mapped.owners if clusters is None else np.asarray(clusters)
    present = np.unique(groups)
    names: dict[int, str] = {
        int(group): token_label(mapped.prompts[group], most=24)
        if clusters is None
        else ("noise" if group < 0 else f"cluster {group}")
        for group in present
    }
    if len(present) > len(CATEGORIES):  # nobody tells so many colours apart
        names, groups, present = {0: "prompt rows"}, np.zeros(len(groups), int), np.array([0])
    return [_star(mapped, groups == group, names[int(group)], int(group)) for group in present]


def _star(mapped: Map, which: np.typing.NDArray[np.bool_], name: str, group: int) -> go.Scattergl:
    rows = np.flatnonzero(which)
    colour = NEUTRAL if group < 0 else CATEGORIES[group % len(CATEGORIES)]
    custom: list[list[Any]] = [
        [
            f"p:{mapped.owners[row]}:{mapped.positions[row]}",
            token_label(mapped.prompts[mapped.owners[row]]),
            int(mapped.positions[row]),
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
        hovertemplate="%{customdata[1]}<br>position %{customdata[2]}<extra></extra>",
    )  # fmt: skip


def _rings(mapped: Map, found: Collection[int]) -> go.Scattergl:
    places = mapped.background[np.isin(mapped.background_ids, list(found))]
    return go.Scattergl(
        x=places[:, 0], y=places[:, 1], mode="markers", name="found", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 16, "color": CHANCE, "line": {"width": 2}},
    )  # fmt: skip
