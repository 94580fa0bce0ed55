"""Tokens as text, in order: how a prompt reads, each token shaded by what it is worth."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probe.analysis.controls import NEVER_LEFT_ITS_START
from probe.analysis.decoding import Decoding, Position
from probe.charts.labels import score_text, visible

if TYPE_CHECKING:
    from probe.readings import Reading
    from probe.readings.reading import RowTokens

_STRONGEST = 0.5
"""Opacity of the shade at percentile 100; more would make text on it hard to read."""
_HOVERED = 5
_MOST_LETTERS = 40
LEGEND = (
    "The stronger its shade, the more of the Gaussian control a token's score beats, 0 to 100 %; "
    "underlined: still the initial token. Point at a token to see its position and scores."
)


@dataclass(frozen=True)
class StripToken:
    """A token of a strip."""

    text: str
    """As the vocabulary shows it."""
    hover: str
    percentile: float | None = None
    """Share of controls that score worse, 0 to 100; None where there are none."""
    initial: bool = False
    """Whether it is still the token that the row started from."""


def nearest_strip(decoding: Decoding) -> tuple[StripToken, ...]:
    """The nearest token of every position."""
    return tuple(_nearest(decoding, position) for position in decoding.positions)


def rows_strip(reading: Reading) -> tuple[StripToken, ...]:
    """The first token of every row of a reading; none where it is of the whole prompt only."""
    return tuple(StripToken(row.tokens[0].token, _hover(row)) for row in reading.rows or ())


def ranked_strip(reading: Reading, most: int = 12) -> tuple[StripToken, ...]:
    """The first different tokens of a reading, the strongest first."""
    strip: dict[str, StripToken] = {}
    for rank, one in enumerate(reading.tokens, start=1):
        token = StripToken(one.token, f"rank {rank}: {visible(one.token)} {one.score:.3f}")
        strip.setdefault(_shown(one.token), token)
    return tuple(strip.values())[:most]


def strip_html(tokens: Sequence[StripToken], place: str) -> str:
    """The strip as HTML; whatever a token says is shown, never obeyed.

    Args:
        tokens: one per position.
        place: before the number of a position in the id of its row, to which its token leads.
    """
    links = (_link(token, f"{place}{position}") for position, token in enumerate(tokens))
    return f'<div style="line-height:2.1;overflow-wrap:anywhere">{"".join(links)}</div>'


def drawn(token: StripToken) -> tuple[str, str, str]:
    """Text, hover text and CSS of a token; whoever writes HTML of the first two escapes them."""
    shade = _STRONGEST * (token.percentile or 0) / 100
    style = (
        f"background:rgba(0,114,178,{shade:.2f});border:1px solid rgba(128,128,128,.35);"
        "border-radius:.3em;padding:.1em .35em;white-space:pre-wrap;"
    )
    if token.initial:
        style += "text-decoration:underline;text-decoration-thickness:2px;text-underline-offset:3px"
    return _shown(token.text), token.hover, style


def _link(token: StripToken, place: str) -> str:
    text, hover, style = (html.escape(part) for part in drawn(token))
    plain = "color:inherit;text-decoration:none;"
    return f'<a href="#{place}" dir="ltr" style="{plain}{style}" title="{hover}">{text}</a> '


def _shown(token: str) -> str:
    """A token as a reader takes it: without the mark of the space before it."""
    text = visible(token)
    bare = text.strip("␣ ") or text
    return bare if len(bare) <= _MOST_LETTERS else f"{bare[: _MOST_LETTERS - 1]}…"


def _nearest(decoding: Decoding, position: Position) -> StripToken:
    near = "\n".join(
        f"{visible(one.token)}  {score_text(one.score, decoding.metric)}"
        for one in position.neighbours[:_HOVERED]
    )
    controls = position.controls
    worth = "" if controls is None else f", beats {controls.chance:.1f} % of the Gaussian control"
    initial = controls is not None and NEVER_LEFT_ITS_START in controls.flags
    return StripToken(
        position.neighbours[0].token,
        f"position {position.position}{worth}{', still its initial token' if initial else ''}\n"
        f"{near}",
        None if controls is None else controls.chance,
        initial,
    )


def _hover(row: RowTokens) -> str:
    near = "\n".join(f"{visible(one.token)}  {one.score:.3f}" for one in row.tokens[:_HOVERED])
    return f"position {row.position}\n{near}"
