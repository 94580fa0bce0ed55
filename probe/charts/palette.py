"""Colours of the figures: Okabe and Ito's, told apart by every kind of colour vision.

All stand out on white and on near-black alike. Reference: Okabe & Ito (2008), "Color Universal
Design".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

from probe.bootstrap import Estimate

PROMPT = "#0072B2"
VOCABULARY = "#009E73"
CHANCE = "#D55E00"
ISOTROPIC = "#CC79A7"
NEUTRAL = "#808080"
GRID = "rgba(128, 128, 128, 0.25)"
CLEAR = "rgba(0, 0, 0, 0)"

CATEGORIES = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#A6761D",
    "#7570B3",
)
"""Colours of groups, in order; the last two are from ColorBrewer's Dark2."""

GREY_TO_BLUE = [[0.0, "#B9C3CC"], [1.0, "#3D9BD4"]]
"""Cells of maps: they stand out on either page, and `ON_CELL` is readable on all of them."""
ORANGE_TO_BLUE = [[0.0, "#E08A4F"], [0.5, "#C4C9CE"], [1.0, "#3D9BD4"]]
"""Cells that lie below or above something; `ON_CELL` is readable on all of them too."""
ON_CELL = "#10151A"
PICKED: dict[str, Any] = {
    "selected": {"marker": {"color": "rgba(213, 94, 0, 0.35)"}, "textfont": {"color": ON_CELL}},
    "unselected": {"marker": {"color": CLEAR}, "textfont": {"color": ON_CELL}},
}
"""Of the clickable squares over cells: one is picked, and what stands in the others stays readable.

Left to itself, Plotly fades the text of everything that is not selected.
"""


_WHITE = "plotly_white"
_TRACES = ("bar", "heatmap", "parcoords")
_LAYOUT = (
    "annotationdefaults", "autotypenumbers", "colorway", "font", "hoverlabel", "hovermode",
    "shapedefaults", "title", "xaxis", "yaxis",
)  # fmt: skip


def new_figure(height: int, **margins: int) -> go.Figure:
    """An empty figure with a clear background, tight margins and an explicit template.

    Without a template of its own a figure would take whatever default other libraries have set.

    Args:
        height: in pixels.
        margins: pixels for the labels of axes, where tight ones (`l`, `r`, `t`, `b`) are known to
            be too small: Plotly widens what it must, but then draws everything a second time.
    """
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "automargin": True}
    return go.Figure(
        layout={
            "template": _template(),
            "height": height,
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "margin": {"l": 8, "r": 8, "t": 16, "b": 8} | margins,
            "showlegend": False,
            "dragmode": False,
            "modebar": {"bgcolor": CLEAR, "color": NEUTRAL, "activecolor": PROMPT},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def label_room(labels: Iterable[str]) -> int:
    """Pixels beside an axis that its tick labels take, roughly."""
    return 14 + 7 * max(map(len, labels), default=0)


def add_legend(figure: go.Figure, *, above: bool = False) -> None:
    """Show the legend along the lower edge, below the titles of axes however narrow the screen.

    Args:
        figure: what it tells of.
        above: over the plot instead.
    """
    place = {"y": 1} if above else {"y": 0, "yref": "container"}
    legend = {"orientation": "h", "yanchor": "bottom", "x": 0} | place
    figure.update_layout(showlegend=True, legend=legend)


def name_rows(figure: go.Figure, names: Sequence[str]) -> None:
    """Names along the rows 0, 1, … from top to bottom: two may be the same, so the axis counts."""
    rows = list(range(len(names)))
    ends = [len(rows) - 0.5, -0.5]
    figure.update_yaxes(tickvals=rows, ticktext=list(names), range=ends, zeroline=False)


def interval_bars(estimates: Sequence[Estimate], **style: Any) -> dict[str, Any]:
    """Plotly's `error_x` or `error_y` from values to the ends of their intervals.

    Args:
        estimates: [n]; one without an interval has no bar.
        style: `thickness`, `width` and `color` of the bars.
    """
    return style | {
        "type": "data",
        "symmetric": False,
        "array": [one.ends[1] - one.value for one in estimates],
        "arrayminus": [one.value - one.ends[0] for one in estimates],
    }


@cache
def _template() -> go.layout.Template:
    """What these figures use of Plotly's own template; copying all of it takes 20 ms a figure."""
    white = pio.templates[_WHITE].to_plotly_json()
    return go.layout.Template(
        layout={name: white["layout"][name] for name in _LAYOUT},
        data={kind: white["data"][kind] for kind in _TRACES},
    )
