"""What a prompt learned: its readings in a sentence, beside how often they are right."""

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.resources import Entry, reading
from probe.verbs import ReadPrompt


def draw_meaning(entry: Entry, model: str) -> None:
    """The displacement reading of a prompt whose start is known; nothing where it is refused."""
    found = reading(entry, model)
    told = next((one for one in found.readings if one.name == "displacement"), None)
    if told is None or told.refused:
        return
    st.subheader("What training added", anchor=False)
    st.markdown(f"**{plain(found.answer)}**")
    st.caption(_evidence(found))


def _evidence(found: ReadPrompt) -> str:
    """How far the sentence is to be believed."""
    told = next(one for one in found.readings if one.name == "displacement")
    parts = ["Tokens nearest to the mean of row minus start"]
    parts += [f"start {told.start}"] if told.start else []
    parts += [f"p {told.p:.3f} against {plain(told.control)}"] if told.p and told.control else []
    parts += [plain(told.hit_rate.sentence)] if told.hit_rate else []
    parts.append("more with `probe read`")
    return " · ".join(parts)
