"""How often readings find their text, drawn: by condition, and by what prompts have learned."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from probe.analysis.reading_rates import CHECK, Rate, ReadingRates
from probe.charts.labels import token_label
from probe.charts.palette import CATEGORIES, NEUTRAL, interval_bars, name_rows, new_figure

_ROW = 26


def reading_rate_figures(found: ReadingRates) -> dict[str, go.Figure]:
    """Every figure the rates have data for, by its title."""
    scorers = dict.fromkeys(one.scorer for one in found.rates)
    whole = [one for one in found.rates if one.share_explained is None and one.condition != CHECK]
    parts = [
        one
        for one in found.rates
        if one.share_explained is not None and one.condition == found.kinds_of
    ]
    figures = {}
    for scorer in scorers:
        if own := [one for one in whole if one.scorer == scorer]:
            figures[f"Texts found first by each reading, by {scorer}"] = _dots(own, by_share=False)
        if own := [one for one in parts if one.scorer == scorer]:
            title = f"The same by the share of the text's effect that prompts have, by {scorer}"
            figures[title] = _dots(own, by_share=True)
    return figures


def _dots(rates: Sequence[Rate], *, by_share: bool) -> go.Figure:
    """A line per reading, in it a dot per condition or share with its 95 % interval."""
    readings = list(dict.fromkeys(one.reading for one in rates))
    groups = list(dict.fromkeys(_group(one, by_share) for one in rates))
    figure = new_figure(height=150 + _ROW * len(readings) * max(1, len(groups) // 2))
    for number, group in enumerate(groups):
        own = [one for one in rates if _group(one, by_share) == group]
        shift = 0.7 * ((number + 0.5) / len(groups) - 0.5)
        figure.add_scatter(
            x=[one.top1.value for one in own],
            y=[readings.index(one.reading) + shift for one in own],
            mode="markers",
            name=token_label(group),
            marker={"size": 8, "color": CATEGORIES[number % len(CATEGORIES)]},
            error_x=interval_bars([one.top1 for one in own], thickness=1, width=3),
            customdata=[[one.reading, one.prompts] for one in own],
            hovertemplate="%{customdata[0]}: %{x:.3f} of %{customdata[1]} prompts",
        )
    figure.add_vline(rates[0].chance, line={"color": NEUTRAL, "dash": "dot"})
    name_rows(figure, [token_label(name.replace("_", " ")) for name in readings])
    figure.update_xaxes(title="share of prompts whose text is first (dotted: chance)", range=[0, 1])
    figure.update_layout(showlegend=True)
    return figure


def _group(rate: Rate, by_share: bool) -> str:
    return str(rate.share_explained if by_share else rate.condition)
