"""A new prompt: trained on a task, or distilled from a text of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.shared.jobs import start_job
from dashboard.shared.markdown import plain
from dashboard.shared.new_job import NewJob, draw_new
from dashboard.shared.public_demo import is_public
from dashboard.shared.resources import workspace
from dashboard.train import form
from dashboard.train.form import Wanted
from dashboard.train.own_text import draw_own_text, fill_own_text, start_distillation
from dashboard.train.public_queue import draw_public_queue
from probe.store import JobConfig
from probe.verbs.training import run_config, train_command

TASK, TEXT = "a task", "a text of your own"


def draw_new_prompt(*, busy: bool) -> None:
    """What the prompt is to learn, and the form that asks for it."""
    if is_public():
        draw_public_queue()
        return
    draw_filled()
    learned = st.segmented_control(
        "It learns", (TASK, TEXT), default=TASK, required=True, key="new", bind="query-params",
        persist_state="session",
    )  # fmt: skip
    behind = ", behind the run at work" if busy else ""
    if learned == TEXT:
        draw_new(NewJob("run", "own_", draw_own_text, start_distillation), f"Distil it{behind}")
    else:
        label = f"Start{behind}" if busy else "Start training"
        draw_new(NewJob("run", "", form.draw_form, start, estimate), label)


def fill_new(asked: JobConfig) -> None:
    """Put the settings of a run into its form; call it before the form is drawn."""
    distills = asked.kind == "distill"
    st.session_state["new"] = TEXT if distills else TASK
    (fill_own_text if distills else form.fill_form)(asked)


def offer_text() -> None:
    """Let the Train page offer a text of one's own first; for callbacks."""
    st.session_state["new"] = TEXT


def draw_filled() -> None:
    """Whose settings the form holds, where it was filled in."""
    if filled := st.session_state.pop("filled", None):
        name, missing = filled
        but = f", but has no field for its **{plain(', '.join(missing))}**" if missing else ""
        st.info(f"The form holds the settings of **{plain(name)}**{but}.", icon=":material/replay:")


def start(wanted: Wanted) -> str:
    """Start a worker of its own; the id of the run.

    Raises:
        ProbeError: what is asked for cannot be done.
    """
    asked = run_config(dataclasses.replace(wanted.request, workspace=workspace()))
    run = start_job(dataclasses.replace(asked, command=train_command(asked)))
    st.session_state["t_open"] = False
    return run


def estimate(plan: Mapping[str, Any]) -> str:
    """What the run would train on, and for how long."""
    from probe.jobs.plan import TrainPlan  # torch comes with it

    return TrainPlan(**plan).headline()[0]
