"""A new prompt: trained on a task, or distilled from a text of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard.shared.jobs import start_job
from dashboard.shared.markdown import plain
from dashboard.shared.new_job import NewJob, draw_new, not_held
from dashboard.shared.public_demo import is_public
from dashboard.shared.resources import workspace
from dashboard.train import form
from dashboard.train.form import Wanted
from dashboard.train.public_queue import draw_public_queue
from probe.requests import DistillRequest, command_of, help_of
from probe.store import JobConfig
from probe.tables import default_model
from probe.verbs.distilling import distill_config, name_of
from probe.verbs.training import run_config, train_command

TASK, TEXT = "a task", "a text of your own"
_WRITERS = ("smollm2", "builtin")
_DEFAULTS = {"text": "", "length": 8, "steps": 60}


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


@dataclass(frozen=True)
class WantedDistillation:
    """What the form asks for."""

    request: DistillRequest

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that asks for the same; none without a text."""
        return command_of(self.request, "distill") if self.request.text else ()


def draw_own_text() -> WantedDistillation:
    """The fields, and what they ask for."""
    for field, value in {**_DEFAULTS, "model": default_model()}.items():
        st.session_state.setdefault(f"own_{field}", value)
    st.caption(
        "Type what a prompt is to do, as you would tell the model. A prompt is trained to have the "
        "same effect, and you see whether its vectors say what you wrote."
    )
    text = st.text_input(
        "A text of your own", key="own_text", persist_state="session", max_chars=2000,
        placeholder="Always answer in French.",
    )  # fmt: skip
    rows, updates, base = st.columns([1, 1, 2], gap="small")
    length = rows.number_input(
        "Rows", 1, 64, key="own_length", persist_state="session",
        help=help_of(DistillRequest, "length"),
    )  # fmt: skip
    steps = updates.number_input(
        "Steps", 1, 10_000, key="own_steps", persist_state="session",
        help=help_of(DistillRequest, "steps"),
    )  # fmt: skip
    known = list(dict.fromkeys((default_model(), *_WRITERS, st.session_state["own_model"])))
    model = base.selectbox(
        "Language model", known, key="own_model", persist_state="session",
        accept_new_options=True, help=help_of(DistillRequest, "model"),
    )  # fmt: skip
    return WantedDistillation(
        DistillRequest(text.strip(), str(model), length=int(length), steps=int(steps))
    )


def start_distillation(wanted: WantedDistillation) -> str:
    """Start a worker of its own; the id of the run.

    Raises:
        ProbeError: the text cannot be distilled.
    """
    asked = distill_config(dataclasses.replace(wanted.request, workspace=workspace()))
    return start_job(dataclasses.replace(asked, command=wanted.command))


def fill_own_text(asked: JobConfig) -> None:
    """Put what a distillation was asked into the form; call it before the form is drawn."""
    held = ("text", "length", "steps", "model")
    for field in held:
        st.session_state[f"own_{field}"] = asked.request[field]
    named = asked.name != name_of(asked.request["text"])
    missing = not_held(DistillRequest, asked.request, held if named else (*held, "name"))
    st.session_state["filled"], st.session_state["t_open"] = (asked.name, missing), True
