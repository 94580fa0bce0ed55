"""Figures of a comparison: reordered heat map with its tree, one prompt's bars, position view."""

from __future__ import annotations

import re

import numpy as np
import plotly.graph_objects as go

from probe.analysis.compare import MEASURES, Comparison, Hierarchy, PositionView
from probe.charts.labels import name_label, token_label
from probe.charts.palette import (
    CATEGORIES,
    CLEAR,
    GREY_TO_BLUE,
    NEUTRAL,
    ON_CELL,
    ORANGE_TO_BLUE,
    PICKED,
    PROMPT,
    add_legend,
    label_room,
    name_rows,
    new_figure,
)
from probe.measures import measure_name

_NAMED = 40
"""Most prompts whose names stand beside the heat map."""
_NAMED_BELOW = 20
"""Most whose names stand below it too, where they take more room than they have."""
_LEADING_ZERO = re.compile(r"^(-?)0\.")
_ROOMY = 25
"""With more prompts the tree's lower end would lie under the first name."""
_WRITTEN = 12
"""Most prompts whose values are written into the cells."""
_NAME = 20
_TASKS_AT = -1.1
"""Where tasks stand on the axis of columns, which counts from 0."""
_TREE = 0.25
"""Height of the tree, in heights of the matrix."""
_CELL_PX = 38
"""Of a cell where there is room."""


def similarity_map(comparison: Comparison, tree: Hierarchy) -> go.Figure:
    """The matrix in the tree's order, blue where prompts are close, with the tree above it.

    Orange is below 0 where values lie on both sides of it. Beside the rows stand the tasks, where
    they are known. Invisible squares over the cells make them clickable; each carries (i, j),
    indices of prompts, as `customdata[0]` and `customdata[1]`. Colours span the pairs, not the
    diagonal.

    Args:
        comparison: of N prompts.
        tree: `hierarchy(comparison)`.
    """
    count = len(comparison.prompts)
    order = np.array(tree.order)
    names = [name_label(comparison.prompts[i], most=_NAME) for i in order]
    left = label_room(names if count <= _NAMED else ())
    below = label_room(names if count <= _NAMED_BELOW else ())
    tasks = _task_squares(comparison, order)
    top = -0.7 - _TREE * count
    height = 180 + below + min(max(_CELL_PX * count, 150), 620)
    figure = new_figure(height, l=max(left, 50), t=88, b=below + 30 * bool(tasks))
    figure.add_traces([_tree_lines(tree, top), _cells(comparison, order), *tasks])
    figure.add_trace(_squares(comparison, order))
    if tasks:
        add_legend(figure)
        figure.update_traces(showlegend=False, selector=lambda trace: not trace.name)
    ticks = list(range(count))
    highest = f"{_highest(tree):.2g}"
    plain = {"showgrid": False, "zeroline": False, "fixedrange": True, "constrain": "domain"}
    figure.update_xaxes(
        range=[_TASKS_AT - 0.6 if tasks else -0.5, count - 0.5], tickangle=-45, tickvals=ticks,
        ticktext=names, showticklabels=count <= _NAMED_BELOW, **plain,
    )  # fmt: skip
    figure.update_yaxes(
        range=[count - 0.5, top - 0.2], scaleanchor="x", constraintoward="top",
        tickvals=[top, -0.7, *(ticks if count <= _NAMED else ())],
        ticktext=[f"{_apart(comparison)}: {highest}", "0" * (count <= _ROOMY), *names], **plain,
    )  # fmt: skip
    figure.update_layout(clickmode="event+select", hovermode="closest")
    return figure


def _task_squares(comparison: Comparison, order: np.typing.NDArray[np.int64]) -> list[go.Scatter]:
    """A square beside each row in the colour of its task, as one trace per task."""
    tasks = [comparison.tasks[i] if comparison.tasks else None for i in order]
    known = sorted({task for task in tasks if task is not None})
    rows = {one: [y for y, task in enumerate(tasks) if task == one] for one in known}
    return [
        go.Scatter(
            x=[_TASKS_AT] * len(rows[one]), y=rows[one], mode="markers", name=token_label(one),
            marker={"symbol": "square", "size": 2 * _square_px(len(order)) // 3,
                    "color": CATEGORIES[place % len(CATEGORIES)]},
            customdata=[(int(order[y]),) * 2 for y in rows[one]],  # nobody's pair, as the diagonal
            unselected={"marker": {"opacity": 1}},
            hovertemplate=f"{token_label(one)}<extra></extra>",
        )
        for place, one in enumerate(known)
    ]  # fmt: skip


def _square_px(count: int) -> int:
    return max(4, min(24, 600 // count))


def closeness_bars(comparison: Comparison, prompt: int, *, most: int | None = None) -> go.Figure:
    """One prompt against all others, closest at the top (Jaccard bars and their kin).

    Args:
        comparison: of N prompts.
        prompt: its index; every bar carries the other's index as `customdata[0]`.
        most: bars, the closest; all when None.
    """
    values = comparison.matrix[prompt]
    ranked = np.argsort(-values if comparison.higher_is_closer else values, kind="stable")
    others = [int(i) for i in ranked if i != prompt][:most]
    labels = [name_label(comparison.prompts[i], most=_NAME) for i in others]
    figure = new_figure(height=110 + 26 * len(others), l=label_room(labels), b=50)
    names = [token_label(comparison.prompts[i]) for i in others]
    figure.add_bar(
        x=[float(values[i]) for i in others],
        y=list(range(len(others))),
        orientation="h",
        marker={"color": PROMPT, "line": {"width": 0}},
        text=[f"{values[i]:.3f}" for i in others],
        customdata=[[i, name] for i, name in zip(others, names, strict=True)],
        hovertemplate="%{customdata[1]}<br>%{x:.5g}<extra></extra>",
    )
    name_rows(figure, labels)
    figure.update_yaxes(showgrid=False, zeroline=False)
    figure.update_xaxes(title=_title(comparison), nticks=6)
    return figure


def position_view_map(view: PositionView) -> go.Figure:
    """Cosine of every position of one prompt with every position of another.

    Equal positions lie on the diagonal line; rings stand in the cells of positions that began from
    the same token. Each cell's invisible square carries both positions
    as `customdata`.
    """
    rows, columns = view.cosines.shape
    figure = new_figure(height=130 + min(14 * rows + 60, 700))
    limit = float(np.abs(view.cosines).max()) or 1.0
    figure.add_heatmap(
        z=view.cosines, zmin=-limit, zmax=limit, hoverinfo="skip", xgap=1, ygap=1,
        colorscale=[[0, "#D55E00"], [0.5, "#C4C9CE"], [1, "#0072B2"]],
        colorbar={
            "title": "cosine of changes" if view.change else "cosine", "thickness": 10,
            "outlinewidth": 0,
        },
    )  # fmt: skip
    i, j = (index.ravel() for index in np.indices(view.cosines.shape))
    figure.add_scatter(
        x=j, y=i, mode="markers", marker={"symbol": "square", "size": 12, "color": CLEAR},
        showlegend=False,
        customdata=np.stack([i, j, view.cosines.ravel()], axis=1),
        hovertemplate="positions %{customdata[0]} and %{customdata[1]}<br>"
        "cosine %{customdata[2]:.3f}<extra></extra>",
    )  # fmt: skip
    if view.shared is not None and view.shared.any():
        _ring_shared(figure, view.shared)
    end = min(rows, columns) - 0.5
    figure.add_scatter(
        x=[-0.5, end], y=[-0.5, end], mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": ON_CELL, "width": 1, "dash": "dot"},
    )  # fmt: skip
    titles = [f"position of {name_label(name, most=_NAME)}" for name in view.prompts]
    plain = {"tickformat": "d", "showgrid": False, "zeroline": False}
    figure.update_yaxes(title=titles[0], range=[rows - 0.5, -0.5], **plain)
    figure.update_xaxes(title=titles[1], range=[-0.5, columns - 0.5], **plain)
    figure.update_layout(clickmode="event+select", hovermode="closest")
    return figure


def _ring_shared(figure: go.Figure, shared: np.typing.NDArray[np.bool_]) -> None:
    """A ring in each cell whose two rows began from the same token."""
    at, other = np.nonzero(shared)
    figure.add_scatter(
        x=other, y=at, mode="markers", name="began from the same token", hoverinfo="skip",
        showlegend=True,
        marker={"symbol": "circle-open", "size": 8, "color": ON_CELL, "line": {"width": 1.5}},
    )  # fmt: skip
    add_legend(figure)


def _highest(tree: Hierarchy) -> float:
    return float(tree.linkage[:, 2].max())


def _tree_lines(tree: Hierarchy, top: float) -> go.Scatter:
    """The tree over the columns, in cells: its leaves at -0.7, its root at `top`."""
    from scipy.cluster.hierarchy import dendrogram

    drawn = dendrogram(tree.linkage, no_plot=True)
    scale = (top + 0.7) / (_highest(tree) or 1.0)
    x: list[float | None] = []
    y: list[float | None] = []
    for across, up in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        x += [(place - 5) / 10 for place in across] + [None]  # SciPy's leaves stand at 5, 15, …
        y += [*(scale * height - 0.7 for height in up), None]
    return go.Scatter(
        x=x, y=y, mode="lines", line={"color": NEUTRAL, "width": 1.5}, hoverinfo="skip"
    )


def _cells(comparison: Comparison, order: np.typing.NDArray[np.int64]) -> go.Heatmap:
    sign, count = 1 if comparison.higher_is_closer else -1, len(order)
    values = comparison.matrix[np.ix_(order, order)]
    pairs = comparison.matrix[np.triu_indices(len(order), 1)]
    low, high = sorted((sign * float(pairs.min()), sign * float(pairs.max())))
    scale, ends = GREY_TO_BLUE, [low, high] if high > low else [low]
    if low < 0 < high:
        high = max(-low, high)
        scale, low, ends = ORANGE_TO_BLUE, -high, [-high, 0, high]
    return go.Heatmap(
        z=sign * values, zmin=low, zmax=max(high, low + 1e-9), hoverinfo="skip",
        colorscale=scale,
        xgap=int(count <= _NAMED), ygap=int(count <= _NAMED),
        colorbar={
            "orientation": "h", "thickness": 10, "y": 1, "yanchor": "bottom", "outlinewidth": 0,
            "tickvals": ends, "title": {"text": _title(comparison), "side": "top"},
            "ticktext": [f"{sign * end:.3g}".replace("-", "−") for end in ends],
        },
    )  # fmt: skip


def _squares(
    comparison: Comparison, order: np.typing.NDArray[np.int64]
) -> go.Scatter | go.Scattergl:
    count = len(order)
    kind = go.Scatter if count <= _NAMED else go.Scattergl  # so many elements choke a browser
    y, x = (index.ravel() for index in np.indices((count, count)))
    names = [token_label(name) for name in comparison.prompts]
    written = count <= _WRITTEN
    cells = [(int(order[row]), int(order[column])) for row, column in zip(y, x, strict=True)]
    values = [f"{comparison.matrix[i, j]:.4g}" for i, j in cells]
    short = [_LEADING_ZERO.sub(r"\1.", f"{comparison.matrix[i, j]:z.2f}") for i, j in cells]
    return kind(
        x=x,
        y=y,
        mode="markers+text" if written else "markers",
        text=short if written else None,
        textfont={"size": 11, "color": ON_CELL},
        marker={"symbol": "square", "size": _square_px(count), "color": CLEAR},
        **PICKED,
        customdata=[
            [i, j, names[i], names[j], value] for (i, j), value in zip(cells, values, strict=True)
        ],
        hovertemplate="%{customdata[2]}<br>%{customdata[3]}<br>%{customdata[4]}<extra></extra>",
    )


def _title(comparison: Comparison) -> str:
    direction = "higher" if comparison.higher_is_closer else "lower"
    centred = ", centred" if comparison.centre else ""
    return f"{measure_name(comparison.measure)}{centred} ({direction} = closer)"


def _apart(comparison: Comparison) -> str:
    return "1 − value" if MEASURES[comparison.measure].higher_is_closer else "distance"
