"""Figures of an evaluation: every way of asking with its interval, and what each one answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from probe.charts.labels import name_label, token_label
from probe.charts.palette import (
    CHANCE,
    NEUTRAL,
    ON_CELL,
    PROMPT,
    VOCABULARY,
    interval_bars,
    name_rows,
    new_figure,
)
from probe.requests.train_methods import trains_tokens
from probe.task import METRIC_WORDS

if TYPE_CHECKING:
    from probe.evaluation import Comparison, Evaluation

_NAME = 34


def score_intervals(comparison: Comparison) -> go.Figure:
    """The task's metric of every way of asking with its 95 % interval.

    Soft prompts are blue, what people can read (nearest tokens, prompts trained as tokens, words)
    green, the model alone grey, the rest orange.
    """
    ways = comparison.evaluations
    measures = [one.measures[comparison.metric] for one in ways]
    figure = new_figure(height=110 + 34 * len(ways))
    figure.add_scatter(
        x=[measure.value for measure in measures],
        y=list(range(len(ways))),
        mode="markers",
        marker={"size": 11, "color": [_colour(one, comparison) for one in ways]},
        error_x=interval_bars(measures, color=NEUTRAL, thickness=2, width=4),
        customdata=[
            [token_label(_name(one)), *measure.ends]
            for one, measure in zip(ways, measures, strict=True)
        ],
        hovertemplate="%{customdata[0]}<br>%{x:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]"
        "<extra></extra>",
    )
    name_rows(figure, [token_label(_name(one), most=_NAME) for one in ways])
    metric = METRIC_WORDS[comparison.metric]
    figure.update_xaxes(title=f"{metric} on {comparison.n} {comparison.split} examples", nticks=6)
    return figure


def _name(one: Evaluation) -> str:
    return f"{one.name} (nearest tokens)" if one.kind == "discretised" else one.name


def _colour(one: Evaluation, comparison: Comparison) -> str:
    tokens = {cost.readable for cost in comparison.readability if cost.how == "tokens"}
    words = one.kind in ("discretised", "hard_prompt") or trains_tokens(one.method)
    if words or one.name in tokens:
        return VOCABULARY
    return {"prompt": PROMPT, "zero_shot": NEUTRAL}.get(one.kind, CHANCE)


_LABEL_COLOURS = ("#56B4E9", "#E69F00", "#3DB58C", "#CC79A7", "#F0E442", "#B9C3CC", "#E08A55")
"""Light enough for dark letters, on either page."""
_ROOM = 0.12
"""Least share of a bar that holds its word."""


def probability_bars(
    names: Sequence[str], probabilities: Sequence[Mapping[str, float]]
) -> go.Figure:
    """The probability of each label word, one full bar per way of asking.

    Args:
        names: of the ways, from top to bottom.
        probabilities: of each way, by label word; they sum to 1.
    """
    figure = new_figure(height=70 + 46 * len(names))
    rows = list(range(len(names)))
    words = list(dict.fromkeys(word for one in probabilities for word in one))
    for number, word in enumerate(words):
        shares = [one.get(word, 0.0) for one in probabilities]
        figure.add_bar(
            x=shares,
            y=rows,
            orientation="h",
            name=token_label(word),
            marker={
                "color": _LABEL_COLOURS[number % len(_LABEL_COLOURS)],
                "line": {"color": ON_CELL, "width": 0.5},
            },
            text=[_text(word, share) for share in shares],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ON_CELL, "size": 13},
            customdata=[token_label(name) for name in names],
            hovertemplate=f"%{{customdata}}<br>{token_label(word)} %{{x:.3f}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_xaxes(range=[0, 1], title="probability among the label words", nticks=6)
    name_rows(figure, [name_label(name, most=22) for name in names])
    figure.update_yaxes(showgrid=False)
    return figure


def _text(word: str, share: float) -> str:
    return f"{token_label(word, most=14)} {share:.2f}" if share >= _ROOM else ""
