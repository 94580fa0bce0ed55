"""A text of one's own in the public demo: few wait at a time, and all are made alike."""

from __future__ import annotations

import threading

import streamlit as st

from dashboard.shared.errors import refusals
from dashboard.shared.jobs import active_jobs
from dashboard.shared.limits import DISTILLATIONS, require_memory, visitor
from dashboard.shared.public_demo import DemoError
from probe import jobs
from probe.requests import DistillRequest
from probe.store import ACTIVE, TRAININGS, Workspace
from probe.tables import default_model
from probe.texts import counted
from probe.verbs.distilling import distill_config

MOST_WAITING = 4
"""Distillations at work or in the queue."""
LONGEST_TEXT = 200
"""Characters."""
KEPT = 24
"""Distillations that stay; the oldest one goes, with its prompt, for the next."""
_ROWS, _UPDATES = 8, 60


def draw_public_queue() -> None:
    """The text, how many are before it, and the start."""
    st.caption(
        "Type what a prompt is to do, as you would tell the model. A prompt is trained to have the "
        "same effect, and everybody sees it, your text and whether its vectors say what you wrote."
    )
    text = st.text_input(
        "A text of your own", key="own_text", persist_state="session", max_chars=LONGEST_TEXT,
        placeholder="Always answer in French.",
    )  # fmt: skip
    before = len(active_jobs())
    st.caption(
        f"{_ROWS} rows and {_UPDATES} updates on {default_model()}. "
        f"{counted(before, 'distillation')} before yours, at most {MOST_WAITING} wait."
    )
    if st.button("Distil it", type="primary", icon=":material/play_arrow:", key="own_begin"):
        with refusals(), st.spinner("Starting a worker …"):
            st.query_params["run"] = enqueue(text)
            st.rerun()


def enqueue(text: str) -> str:
    """Start a distillation, or let it wait; the id of the run.

    Raises:
        DemoError: the text is empty or too long, the queue is full, or the visitor was here often.
        ProbeError: the text cannot be distilled.
    """
    text = text.strip()
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise DemoError(f"expected a text of 1 to {LONGEST_TEXT} characters, found {len(text):,}")
    space = Workspace()
    request = DistillRequest(
        text, default_model(), length=_ROWS, steps=_UPDATES, workspace=space
    )  # fmt: skip
    config = distill_config(request)
    with _turn():
        if (before := len(active_jobs())) >= MOST_WAITING:
            raise DemoError(
                f"{counted(before, 'distillation')} wait already, as many as the public demo "
                "takes: try again in some minutes"
            )
        require_memory()
        DISTILLATIONS.admit(visitor())
        _forget_oldest(space)
        return jobs.start(space, config).id


def _forget_oldest(space: Workspace) -> None:
    """Make room for one more; of what goes only an empty file stays, so that no id comes twice."""
    ended = [run for run in jobs.views(space, *TRAININGS) if run.state not in ACTIVE]
    for run in ended[KEPT - 1 :]:
        jobs.delete(space, run.run)
        for prompt in run.prompts:
            space.remove(prompt)


@st.cache_resource(show_spinner=False)
def _turn() -> threading.Lock:
    """Held while a place in the queue is taken."""
    return threading.Lock()
