"""Prompts by what they say: a search that names no prompt may name a token."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.shared.limits import costly
from dashboard.shared.markdown import plain
from dashboard.shared.resources import SAME_VECTORS, Entry, workspace
from probe.errors import ProbeError
from probe.verbs import finding
from probe.verbs.finding import Found


def draw_token(words: str, entries: Sequence[Entry]) -> None:
    """The positions nearest to a token, where that is what was searched; else what to do.

    Args:
        words: what was searched and shows no prompt.
        entries: all prompts; where words name some, a tag hides them.
    """
    named = any(entry.card.matches(words) for entry in entries)
    try:
        found = None if named else _near(words.strip(), entries)
    except ProbeError:
        found = None
    if found is None:
        st.info("No prompt matches: shorten the search or drop a tag.", icon=":material/search:")
        return
    st.markdown(
        f"No prompt is called so. The positions nearest to the token **{plain(found.token)}** of "
        f"{plain(found.model)}, by cosine, among those of {found.prompts} prompts:"
    )
    st.dataframe(
        found.to_frame(), hide_index=True, alt="Positions nearest to the searched token",
        column_config={"score": st.column_config.NumberColumn("cosine", format="%.3f")},
    )  # fmt: skip


@st.cache_data(show_spinner="Comparing every prompt with that token …", max_entries=32,
               hash_funcs=SAME_VECTORS)  # fmt: skip
@costly
def _near(token: str, entries: Sequence[Entry]) -> Found:  # noqa: ARG001 (others, another answer)
    return finding.find(token, workspace=workspace())
