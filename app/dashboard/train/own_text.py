"""A text of your own: the form of a distillation, and the command line that asks for the same."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import streamlit as st

from dashboard.shared.jobs import start_job
from dashboard.shared.resources import workspace
from probe.requests import DistillRequest, command_of, help_of
from probe.store import JobConfig
from probe.tables import default_model
from probe.verbs.distilling import distill_config

_WRITERS = ("smollm2", "builtin")
_DEFAULTS = {"text": "", "length": 8, "steps": 60}


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
    st.session_state["own_text"] = asked.request["text"]
    for field in ("length", "steps", "model"):
        st.session_state[f"own_{field}"] = asked.request[field]
    st.session_state["filled"], st.session_state["t_open"] = (asked.name, []), True
