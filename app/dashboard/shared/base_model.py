"""Which base model a prompt is decoded on, and what to say when there is none to hand."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.resources import Entry, is_local
from dashboard.shared.sidebar import chosen_model


def usable_model(entry: Entry) -> str | None:
    """The model to decode on, or None after saying on the page what is missing.

    A model that is not on this machine is fetched only when the user asks: the name may come from
    an uploaded file or from a link.
    """
    model = chosen_model(entry)
    if model is None:
        width = f" Its rows have width {entry.card.shape[-1]}." if entry.card.shape else ""
        st.info(
            "This prompt does not say which model it was trained on: "
            f"choose the base model in the sidebar.{width}",
            icon=":material/help:",
        )
        return None
    if is_local(model) or model in _fetched():
        return model
    st.info(
        f"The base model **{plain(model)}** is not on this machine. Decoding needs only its "
        "embedding table and tokenizer. You can also choose another model in the sidebar.",
        icon=":material/cloud_download:",
    )
    if st.button("Fetch the embedding table", type="primary"):
        _fetched().add(model)
        st.rerun()
    return None


def _fetched() -> set[str]:
    """Models the user has agreed to fetch in this session."""
    agreed: set[str] = st.session_state.setdefault("agreed_models", set())
    return agreed
