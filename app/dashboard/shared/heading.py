"""What pages have: a name and a question, an answer painted first, figures, and how to read it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go


def draw_heading(title: str, question: str) -> None:
    """Both in one line where there is room, so that the answer stands high on the page."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.title(title, anchor=False, width="content")
        st.caption(question, width="content")


_PAINT_S = 0.06


def paint_now(answer: object) -> None:
    """Let the browser paint what the page has said so far, if its answer is a new one.

    Without a breath it gets the whole page at once and shows nothing until Plotly has drawn every
    figure, some hundred milliseconds later.
    """
    if st.session_state.get("painted") != answer:
        st.session_state["painted"] = answer
        time.sleep(_PAINT_S)


def draw_figure(figure: go.Figure, key: str, alt: str, *, tools: bool = False) -> None:
    """A figure that is only looked at, with words for whoever does not see it.

    `tools` are Plotly's own above it, such as the camera.
    """
    config = {"displaylogo": False} if tools else {"displayModeBar": False}
    st.plotly_chart(figure, key=key, config=config, alt=alt)


def draw_explanation(page: str, *more: str) -> None:
    """How to read a page: the Markdown beside it, and what else belongs there."""
    own = Path(__file__).parents[1] / page / "explanation.md"
    with st.expander("How to read this", icon=":material/menu_book:"):
        st.markdown("\n\n".join((own.read_text(encoding="utf-8"), *more)))
