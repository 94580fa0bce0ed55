"""Tokens as text on a page; a click on one may choose its position."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.shared.sidebar import show_in_decode
from probe.reports.token_strips import StripToken, drawn

# What a token says reaches the page as text and as a title, never as HTML.
_JS = """export default ({ data, parentElement, setTriggerValue }) => {
  const kind = data.clickable ? 'button' : 'span';
  const tokens = data.tokens.map(([text, hover, css], at) => {
    const token = Object.assign(document.createElement(kind), { title: hover, dir: 'ltr' });
    token.textContent = text;
    token.style.cssText = css;
    if (data.clickable) {
      token.setAttribute('aria-pressed', at === data.shown);
      token.onclick = () => setTriggerValue('position', at);
    }
    return token;
  });
  parentElement.querySelector('p').replaceChildren(...tokens);
};"""
_CSS = """p { display: flex; flex-wrap: wrap; gap: .4em; overflow-wrap: anywhere; margin: 3px; }
button { font: inherit; color: inherit; cursor: pointer; }
button:hover, button:focus-visible, [aria-pressed=true] { outline: 2px solid #D55E00; }"""
_strip = st.components.v2.component("token_strip", html="<p></p>", css=_CSS, js=_JS)


def draw_strip(
    label: str,
    tokens: Sequence[StripToken],
    *,
    shown: int | None = None,
    pick: Callable[[int], None] | None = None,
) -> bool:
    """A strip under its label; nothing without tokens.

    Args:
        label: what the tokens are, different for every strip of a page.
        tokens: one per position, where a click chooses one.
        shown: the position that is chosen already.
        pick: chooses a position, before the page is drawn again.

    Returns:
        Whether a position has just been chosen.
    """
    if not tokens:
        return False

    key = f"strip_{label}"

    def picked() -> None:
        if pick and (position := st.session_state[key].position) is not None:
            pick(int(position))

    data = {"tokens": list(map(drawn, tokens)), "clickable": pick is not None, "shown": shown}
    with st.container(gap="xxsmall"):
        st.caption(label)
        found = _strip(key=key, data=data, on_position_change=picked)
    return found.position is not None


def draw_decode_strip(
    label: str, id_: str, tokens: Sequence[StripToken], *, on_own: bool = False
) -> None:
    """A strip of a prompt of the library, whose tokens lead to their positions in Decode."""
    if draw_strip(label, tokens, pick=lambda at: show_in_decode(id_, at, on_own=on_own)):
        st.switch_page("dashboard/decode/page.py", query_params={})
