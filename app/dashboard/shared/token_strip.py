"""Tokens as text on a page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from probe.reports.token_strips import StripToken, strip_html


def draw_strip(label: str, tokens: Sequence[StripToken]) -> None:
    """A strip under its label; nothing without tokens."""
    if not tokens:
        return
    with st.container(gap="xxsmall"):
        st.caption(label)
        st.html(strip_html(tokens))
