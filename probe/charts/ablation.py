"""Figures of what is lost without rows, without layers' sight of them, and without the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from probe.analysis.ablation import Ablation, Kind
from probe.analysis.knock_out import RANGES, LayerKnockOut, Range
from probe.analysis.pruning import KeptRows, PromptScore
from probe.bootstrap import Estimate
from probe.charts.palette import CATEGORIES, NEUTRAL, PROMPT, add_legend, interval_bars, new_figure

CHANGES: dict[Kind, str] = {
    "removed": "removed",
    "mean": "replaced by the mean row",
    "swapped": "swapped",
}


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
        error_y=interval_bars(changes, color=NEUTRAL, thickness=1.5, width=3),
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


_DASHES: dict[Range, str] = {"window": "solid", "up_to": "dash", "onward": "dot"}


def attribution_bars(changes: Mapping[str, Sequence[Estimate]]) -> go.Figure:
    """What each position is worth to the loss by several measures, side by side with intervals.

    Args:
        changes: of each measure, by its name, P in nats.
    """
    figure = new_figure(height=340)
    for colour, (name, found) in zip(CATEGORIES, changes.items(), strict=False):
        figure.add_bar(
            x=list(range(len(found))), y=[one.value for one in found], name=name,
            customdata=[one.ends for one in found],
            marker={"color": colour, "line": {"width": 0}},
            error_y=interval_bars(found, color=NEUTRAL, thickness=1, width=0),
            hovertemplate=f"position %{{x}}, {name}<br>%{{y:+.3f}} nats "
            "[%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]<extra></extra>",
        )  # fmt: skip
    add_legend(figure, above=True)
    figure.update_xaxes(title="position", showgrid=False, tickformat="d")
    figure.update_yaxes(title="loss change (nats)", nticks=6)
    return figure


def knock_out_lines(found: LayerKnockOut) -> go.Figure:
    """Change of the loss by layer with its interval, one line for each range of layers.

    The grey line is what is lost where no layer sees the prompt.
    """
    figure = new_figure(height=360)
    layers = [one.layer for one in found.layers]
    for colour, kind in zip(CATEGORIES, RANGES, strict=False):
        changes = [getattr(one, kind).loss_nats for one in found.layers]
        name, line = _range_name(kind, found.window), {"color": colour, "dash": _DASHES[kind]}
        _add_line(figure, layers, changes, name, line, ", layer %{x}<br>%{y:+.3f} nats")
    _finish_lines(figure, found.everywhere.loss_nats.value, "layer")
    what = "loss change" if found.measured == "loss" else "divergence from the whole prompt"
    figure.update_yaxes(title=f"{what} (nats)", nticks=6)
    return figure


def _range_name(kind: Range, window: int) -> str:
    if kind == "window":
        return "this layer" if window == 1 else f"{window} layers around it"
    return "up to this layer" if kind == "up_to" else "from this layer on"


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
    for name, at, scores, colour in (
        ("pruned", rows, [one.pruned for one in kept], CATEGORIES[1]),
        ("rewound and retrained", rows, [one.retrained for one in kept], CATEGORIES[0]),
        ("before", [length], [unpruned], NEUTRAL),
    ):
        found = [one.score for one in scores]
        _add_line(figure, at, found, name, {"color": colour}, ", %{x} rows<br>%{y:.3f}")
    _finish_lines(figure, unpruned.score.value, "rows kept")
    figure.update_yaxes(title=f"validation {metric.replace('_', ' ')}", nticks=6)
    return figure


def _add_line(
    figure: go.Figure,
    x: Sequence[int],
    found: Sequence[Estimate],
    name: str,
    line: Mapping[str, str],
    hover: str,
) -> None:
    """Estimates with their intervals; `hover` follows the name, and the ends are written as y."""
    number = hover.partition("%{y")[2].partition("}")[0]
    figure.add_scatter(
        x=x, y=[one.value for one in found], mode="lines+markers", name=name, line=line,
        marker={"size": 5, "color": line["color"]}, customdata=[one.ends for one in found],
        error_y=interval_bars(found, color=line["color"], thickness=1, width=0),
        hovertemplate=f"{name}{hover} [%{{customdata[0]{number}}}, %{{customdata[1]{number}}}]"
        "<extra></extra>",
    )  # fmt: skip


def _finish_lines(figure: go.Figure, level: float, x: str) -> None:
    """What lines are beside, in grey, the legend, and the name of the lower axis."""
    figure.add_hline(y=level, line={"color": NEUTRAL, "dash": "dash"})
    add_legend(figure, above=True)
    figure.update_xaxes(title=x, tickformat="d")
