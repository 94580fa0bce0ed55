"""Asking for long work: the form, the command that asks for the same, how long, and the start."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import streamlit as st

from dashboard.shared.errors import refusals
from dashboard.shared.markdown import plain
from dashboard.shared.side_jobs import plan_of
from probe.errors import ProbeError
from probe.requests import options_of
from probe.requests.written import written


class Wanted(Protocol):
    """What a form asks for."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that asks for the same; empty while something is missing."""


W = TypeVar("W", bound=Wanted)


@dataclass(frozen=True)
class NewJob(Generic[W]):
    """How one kind of long work is asked for."""

    kind: str
    """`run` or `study`, as the page's address names one."""
    key: str
    """Before the keys of the buttons."""
    draw_form: Callable[[], W]
    """Draws the fields; raises ProbeError where they contradict each other."""
    start: Callable[[W], str]
    """Starts a worker of its own and returns the id; raises ProbeError where that cannot be."""
    estimate: Callable[[Mapping[str, Any]], str] | None = None
    """What the document of a dry run says, in a sentence; None where there is no dry run."""


def draw_new(job: NewJob[W], label: str, *, why_not: str | None = None) -> None:
    """The form of new work with its command, its estimate and its start.

    Args:
        job: the kind of work.
        label: of the button that starts it.
        why_not: what keeps it from being started now.
    """
    try:
        wanted = job.draw_form()
    except ProbeError as error:
        st.error(plain(str(error)), icon=":material/edit:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        begin = st.button(
            label, type="primary", icon=":material/play_arrow:", key=f"{job.key}begin",
            disabled=why_not is not None, help=why_not,
        )  # fmt: skip
        guess = job.estimate is not None and st.button(
            "Estimate the time", icon=":material/timer:", key=f"{job.key}guess"
        )
    with refusals():
        if begin:
            _start(job, wanted)
        if guess and job.estimate is not None:
            st.success(plain(job.estimate(plan_of(wanted.command))), icon=":material/timer:")
    if command := wanted.command:
        st.caption(f"The same {job.kind} from a terminal:")
        st.code(shlex.join(command), language=None, wrap_lines=True)


def not_held(kind: type[Any], asked: Mapping[str, Any], held: Collection[str]) -> list[str]:
    """What was asked for that a form has no field for, in words.

    Args:
        kind: a request, or a configuration.
        asked: its fields by name, as a document has them; those left out are at their defaults.
        held: the fields that the form has.
    """
    found = []
    for field in options_of(kind):
        value = asked.get(field.name, field.default)
        if field.name not in held and value != field.default:
            words = field.name.replace("_", " ")
            each = value if field.several else [value]
            found += [" ".join(written(words, one)) for one in each]
    return found


def _start(job: NewJob[W], wanted: W) -> None:
    """Start it and show it."""
    with st.spinner("Starting a worker …"):
        st.query_params[job.kind] = job.start(wanted)
    st.rerun()
