"""The note of a prompt: what somebody found of it, kept beside its vectors."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.errors import attempt
from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import is_public
from dashboard.shared.resources import Entry, workspace


def draw_note(entry: Entry) -> None:
    """The note, which can be changed where the prompt is one's own."""
    if entry.source == "sample" or is_public():
        if entry.card.note:
            st.markdown(plain(entry.card.note))
        return
    key = f"note_{entry.id}"
    st.text_input(
        "Note", entry.card.note, key=key, on_change=_keep, args=(entry.id, key),
        placeholder="What you found, in a sentence",
        help="Kept with the prompt: the search finds it, reports, JSON and HTML carry it, and "
        "`probe push` does not publish it.",
    )  # fmt: skip


def _keep(id_: str, key: str) -> None:
    attempt(lambda: workspace().annotate(id_, st.session_state[key].strip()))
