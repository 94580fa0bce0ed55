"""The answer first: a page's sentence is painted before its figures keep the browser busy."""

from __future__ import annotations

import time

import streamlit as st

_PAINT_S = 0.06


def paint_now(answer: object) -> None:
    """Let the browser paint what the page has said so far, if its answer is a new one.

    Without a breath it gets the whole page at once and shows nothing until Plotly has drawn every
    figure, some hundred milliseconds later.
    """
    if st.session_state.get("painted") != answer:
        st.session_state["painted"] = answer
        time.sleep(_PAINT_S)
