"""Figures of an evaluation: every way of asking with its interval, and what readability costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from probe.charts.labels import token_label
from probe.charts.palette import CHANCE, NEUTRAL, PROMPT, VOCABULARY, new_figure
from probe.training.methods import trains_tokens

if TYPE_CHECKING:
    from probe.evaluation import Comparison, Evaluation

_NAME = 34
_TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
}


def score_intervals(comparison: Comparison) -> go.Figure:
    """The task's metric of every way of asking with its 95 % interval.

    Soft prompts are blue, what people can read (nearest tokens, prompts trained as tokens, words)
    green, the model alone grey, the rest orange.
    """
    ways = comparison.evaluations
    measures = [one.measures[comparison.metric] for one in ways]
    figure = new_figure(height=110 + 34 * len(ways))
    places = list(range(len(ways)))
    figure.add_scatter(
        x=[measure.value for measure in measures],
        y=places,
        mode="markers",
        marker={"size": 11, "color": [_colour(one, comparison) for one in ways]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [measure.ends[1] - measure.value for measure in measures],
            "arrayminus": [measure.value - measure.ends[0] for measure in measures],
            "color": NEUTRAL,
            "thickness": 2,
            "width": 4,
        },
        customdata=[
            [token_label(_name(one)), *measure.ends]
            for one, measure in zip(ways, measures, strict=True)
        ],
        hovertemplate="%{customdata[0]}<br>%{x:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]"
        "<extra></extra>",
    )
    # Two ways may share a name, so the axis counts places and names are only its labels.
    figure.update_yaxes(
        tickvals=places,
        ticktext=[token_label(_name(one), most=_NAME) for one in ways],
        range=[len(ways) - 0.5, -0.5],
    )
    metric = _TITLES[comparison.metric]
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
