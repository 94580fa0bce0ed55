"""Waywardness: can a prompt that solves the task decode to an arbitrary text?"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.shared.heading import draw_explanation, draw_heading, paint_now
from dashboard.shared.jobs import (
    draw_changes,
    sample_studies,
    start_job,
    wayward_studies,
)
from dashboard.shared.markdown import plain
from dashboard.shared.new_job import NewJob, draw_new
from dashboard.shared.public_demo import is_offered
from dashboard.waywardness.form import WantedStudy, draw_form
from dashboard.waywardness.panel import draw_study
from probe.jobs import JobView


def featured(studies: Sequence[JobView]) -> JobView:
    """The study to show: that of the address, else the one at work, else the newest."""
    wanted = st.query_params.get("study")
    named = [one for one in studies if one.run == wanted]
    live = [one for one in studies if one.active]
    if wanted and not named:
        st.error(plain(f"The workspace has no study {wanted}."), icon=":material/error:")
    return (named or live or list(studies))[0]


def draw_choice(studies: Sequence[JobView], shown: JobView) -> JobView:
    """Which study to show where there are several, and what can be done with it."""
    names = {one.run: one for one in studies}
    pick, act = st.columns([4, 1], gap="small", vertical_alignment="bottom")
    with pick:
        chosen = st.selectbox(
            "Study", list(names), index=list(names).index(shown.run),
            format_func=lambda one: " · ".join(
                (names[one].name, names[one].created[:16].replace("T", " "), one[-8:])
            ),
        )  # fmt: skip
    if chosen != shown.run:
        st.query_params.pop("see", None)
    st.query_params["study"] = chosen
    with act:
        draw_changes(names[chosen], help_="Finished batches of runs are kept.")
    return names[chosen]


def start(wanted: WantedStudy) -> str:
    """Start a worker of its own; the id of the study.

    Raises:
        ProbeError: what is asked for cannot be done.
    """
    study = start_job(wanted.config)
    st.query_params.pop("see", None)
    return study


def estimate(plan: Mapping[str, Any]) -> str:
    """How many trainings, and for how long."""
    from probe.jobs.plan import StudyPlan  # torch comes with it

    return StudyPlan(**plan).headline()[0]


def draw() -> None:
    """The study that matters now, then the form."""
    own, samples = wayward_studies(), sample_studies()
    if not own:
        st.markdown(
            "If a prompt can be constrained to *any* text and still solve its task, then its "
            "nearest tokens say little about what it does (Khashabi et al. 2021). This study comes "
            "with probe; start one of your own below."
        )
    if studies := [*own, *samples]:
        draw_study(draw_choice(studies, featured(studies)))
    paint_now("waywardness")
    with st.expander("Start a study", icon=":material/add:", expanded=not studies):
        if not is_offered("studies"):
            st.stop()
        busy = any(one.active for one in own)
        draw_new(
            NewJob("study", "w_", draw_form, start, estimate), "Start the study",
            why_not="A study is at work: cancel it or wait." if busy else None,
        )  # fmt: skip
    draw_explanation("waywardness")


draw_heading("Waywardness", "Can a prompt that solves the task decode to an arbitrary text?")
draw()
