"""Start: what is a soft prompt, and can it be read?"""

import streamlit as st

from dashboard.decode.meaning import displacement_of
from dashboard.decode.try_it import draw_answers, tried
from dashboard.library.upload import draw_upload
from dashboard.shared.errors import refusals
from dashboard.shared.heading import draw_heading, paint_now
from dashboard.shared.jobs import sample_studies
from dashboard.shared.markdown import plain
from dashboard.shared.resources import (
    Entry,
    decoding,
    find,
    is_local,
    library,
    other_than_own,
    reading,
)
from dashboard.shared.sidebar import choose_on_own, demo_prompt
from dashboard.shared.token_strip import draw_decode_strip, draw_strip
from dashboard.train.new_prompt import offer_text
from probe.reports.token_strips import LEGEND, nearest_strip, ranked_strip

_QUESTIONS = {"distilled": "What do you eat for breakfast?"}
"""What the prompt of the story is asked, by its task."""
_SENTENCE = "a dull film with nothing to say"


def draw_story(entry: Entry, model: str) -> None:
    """One prompt read by position, read by displacement, and at work."""
    st.markdown(
        "A **soft prompt** is a row of vectors that training puts in front of what a frozen "
        f"language model reads. This one, **{plain(entry.id)}**, {plain(_about(entry))}: do its "
        "vectors say so?"
    )
    by_position, by_change, at_work = (st.container(border=True) for _ in range(3))
    found = decoding(entry, model, metric="cosine", k=5, filters=(), one_to_one=False)
    with by_position:
        st.markdown(f"**1 · The token nearest to each row.** {found.headline()[0]}")
        draw_decode_strip("Read by position, in order", entry.id, nearest_strip(found), on_own=True)
        st.caption(LEGEND)
    paint_now(("start", entry.id))
    told = displacement_of(reading(entry, model))
    with by_change:
        st.markdown("**2 · The tokens nearest to what training added**: row minus start, averaged.")
        if told is None:
            st.caption("Where this prompt started is not known.")
        else:
            draw_strip("Read by displacement, the strongest first", ranked_strip(told))
            if told.hit_rate:
                st.caption(plain(told.hit_rate.sentence))
    with at_work:
        _draw_at_work(entry, model)


def _draw_at_work(entry: Entry, model: str) -> None:
    st.markdown("**3 · What it does** to the model's answer.")
    question = _QUESTIONS.get(str(entry.card.task), _SENTENCE)
    st.caption(f"Asked: {plain(question)}")
    with refusals():
        draw_answers(tried([entry], other_than_own(entry, model), question, "", ()))


def _about(entry: Entry) -> str:
    """What the manifest says a sample does."""
    return entry.card.note.split(": ")[0] or f"was trained on {entry.card.task}"


def draw_ways_on(entry: Entry) -> None:
    """Where to go from here."""
    here, own, study, train = st.columns(4, gap="small")
    if here.button("Open in Decode", icon=":material/translate:", type="primary",
                   width="stretch", on_click=choose_on_own, args=([entry.id],)):  # fmt: skip
        st.switch_page("dashboard/decode/page.py", query_params={})
    with own.popover("Your own file", icon=":material/upload:", width="stretch"):
        draw_upload()
    if study.button("A finished study", icon=":material/alt_route:", width="stretch"):
        finished = [("study", one.run) for one in sample_studies()[:1]]
        st.switch_page("dashboard/waywardness/page.py", query_params=finished)
    if train.button("Train in a minute", icon=":material/model_training:", width="stretch",
                    on_click=offer_text):  # fmt: skip
        st.switch_page("dashboard/train/page.py", query_params={})


def _may_tell(entry: Entry) -> bool:
    """Whether its rows can be read, and nothing has to be fetched for it."""
    model = entry.card.base_model
    return entry.card.kind == "soft_prompt" and model is not None and is_local(model)


draw_heading("Start", "What does a trained soft prompt mean?")
story = find(demo_prompt()) or next(filter(_may_tell, library()), None)
if story and story.card.base_model:
    draw_ways_on(story)
    draw_story(story, story.card.base_model)
else:
    st.markdown("No prompt here has its model on this machine: add a file of your own.")
    draw_upload()
