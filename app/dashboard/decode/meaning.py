"""What a prompt learned: its readings in a sentence, beside how often they are right."""

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.resources import Entry, reading
from dashboard.shared.token_strip import draw_strip
from probe.readings import Reading
from probe.reports.token_strips import ranked_strip, rows_strip
from probe.verbs.reading import ReadPrompt


def displacement_of(found: ReadPrompt) -> Reading | None:
    """What training added, where the start is known."""
    told = next((one for one in found.readings if one.name == "displacement"), None)
    return None if told is None or told.refused else told


def draw_meaning(entry: Entry, model: str) -> None:
    """The displacement reading of a prompt whose start is known; nothing where it is refused."""
    found = reading(entry, model)
    if told := displacement_of(found):
        draw_answer(found, told)
        draw_displacement(told)


def draw_answer(found: ReadPrompt, told: Reading) -> None:
    """What a prompt learned, in a sentence, and how often such a sentence is right."""
    st.subheader(plain(found.answer), anchor=False)
    if told.hit_rate:
        st.markdown(plain(told.hit_rate.sentence))


def draw_displacement(told: Reading) -> None:
    """What training added, as tokens."""
    draw_strip("What training added to all rows together (mean of row minus start)",
               ranked_strip(told))  # fmt: skip
    draw_strip("What it added to each row, in order", rows_strip(told))
    st.caption(_evidence(told))


def _evidence(told: Reading) -> str:
    """How far the sentence is to be believed."""
    parts = ["Tokens nearest to row minus start", f"start {told.start}"]
    parts += [f"p {told.p:.3f} against {plain(told.control)}"] if told.p and told.control else []
    parts.append("more with `probe read`")
    return " · ".join(parts)
