"""The first line of a page: its name, and the question that it answers."""

from __future__ import annotations

import streamlit as st


def draw_heading(title: str, question: str) -> None:
    """Both in one line where there is room, so that the answer stands high on the page."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.title(title, anchor=False, width="content")
        st.caption(question, width="content")
