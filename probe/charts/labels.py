"""Tokens and numbers as people should read them: nothing hidden, nothing interpreted."""

from __future__ import annotations

import html

from probe.analysis.neighbours import METRIC_NAMES, Metric
from probe.texts import visible as escaped

_MARKS = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥"})


def visible(text: str) -> str:
    r"""The text with every invisible or reordering character spelled out, as `\u202e`.

    Tokens of a vocabulary come spelled out already; names and joined texts do not.
    """
    return escaped(text.translate(_MARKS))


def token_label(token: str, *, most: int | None = None) -> str:
    """The token as Plotly text: `<b>` and its kind are shown, not obeyed.

    Args:
        token: any text.
        most: longest label in characters; a longer one ends in an ellipsis.
    """
    text = visible(token)
    if most is not None and len(text) > most:
        text = text[: most - 1] + "…"
    return html.escape(text, quote=False)


def name_label(name: str, *, most: int) -> str:
    """A prompt's name as Plotly text; a long one lacks its middle, as names differ at their ends.

    Args:
        name: any text.
        most: longest label in characters.
    """
    text = visible(name)
    if len(text) > most:
        last = 2 * (most - 1) // 3
        text = f"{text[: most - 1 - last]}…{text[-last:]}"
    return html.escape(text, quote=False)


def score_text(score: float, metric: Metric) -> str:
    """A score with the digits it deserves: three decimals for a cosine, else four digits."""
    return f"{score:.3f}" if metric == "cosine" else f"{score:.4g}"


def axis_title(metric: Metric, *, higher_is_better: bool) -> str:
    """Name of a score axis, saying which way is closer."""
    return f"{METRIC_NAMES[metric]} ({'higher' if higher_is_better else 'lower'} = closer)"
