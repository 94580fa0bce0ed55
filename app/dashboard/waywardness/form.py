"""The form of a small waywardness study, and the command line that asks for the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard.shared.jobs import active_jobs
from dashboard.shared.resources import is_local, known_tasks, task_has_labels
from probe.errors import TrainingError
from probe.requests import WaywardRequest, command_of, fields_of
from probe.store import JobConfig
from probe.tables import ALWAYS_NAMED, default_model
from probe.texts import INIT_NAMES
from probe.verbs.waywardness import count_wayward_runs, wayward_config

_SETS = ("instructions", "web", "definitions")
_STARTS = ("vocab", "target", "random", "labels")
_GAMMAS = "0.1, 1, 10"
_STEPS = 100
_HELP = {field.name: field.help for field in fields_of(WaywardRequest)}


@dataclass(frozen=True)
class WantedStudy:
    """What the form asks for."""

    config: JobConfig
    runs: int | None
    """None where counting would fetch a model."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that asks for the same study."""
        return self.config.command


def draw_form() -> WantedStudy:
    """The fields, and what they ask for.

    Raises:
        ProbeError: the fields contradict each other, or name what cannot be read.
    """
    tasks, model = st.columns([3, 2], gap="small")
    names = {one: name for one, name in known_tasks(on_hub=False).items() if task_has_labels(one)}
    chosen = tasks.multiselect(
        "Tasks", list(names), default=next(iter(names)), key="w_tasks", persist_state="session",
        format_func=lambda one: names.get(one, one), placeholder="Choose tasks",
        help=_HELP["task"],
    )  # fmt: skip
    st.session_state.setdefault("w_model", default_model())
    known = dict.fromkeys([*ALWAYS_NAMED, st.session_state["w_model"]])
    base = model.selectbox(
        "Base model", list(known), key="w_model", persist_state="session",
        accept_new_options=True,
        help=_HELP["model"],
    )  # fmt: skip
    sets, count = st.columns([3, 2], gap="small")
    texts: list[str] = list(
        sets.multiselect(
            "Target texts", _SETS, default=["instructions"], key="w_sets",
            persist_state="session", placeholder="Choose sets, or write your own below",
            help=_HELP["targets"],
        )
    )  # fmt: skip
    most = count.number_input(
        "Texts of each set, from short to long", 1, 60, 2, key="w_count", persist_state="session",
        help=_HELP["target_count"],
    )  # fmt: skip
    own = st.text_area(
        "Texts of your own, one a line", key="w_own", persist_state="session", height=80,
        placeholder="The bridge was closed for repairs again.",
    )  # fmt: skip
    texts += [f"text:{line.strip()}" for line in own.split("\n") if line.strip()]
    wanted = _wanted(list(chosen), str(base), texts, int(most), _draw_numbers())
    if wanted.runs is not None:
        st.caption(f"{wanted.runs:,} runs, 8 at a time.")
    if active_jobs():
        st.caption("Another run or study is at work too: both share this machine.")
    return wanted


def _draw_numbers() -> dict[str, Any]:
    gamma, start, seeds, steps = st.columns([3, 4, 2, 2], gap="small")
    words = gamma.text_input(
        "γ, with commas between", _GAMMAS, key="w_gamma", persist_state="session",
        help=_HELP["gamma"],
    )  # fmt: skip
    inits = start.multiselect(
        "Initialisation", _STARTS, default=_STARTS[:2], key="w_inits",
        format_func=INIT_NAMES.__getitem__, persist_state="session", placeholder="Choose a start",
        help=_HELP["init"],
    )  # fmt: skip
    number = seeds.number_input(
        "Seeds", 1, 20, 1, key="w_seeds", persist_state="session", help=_HELP["seeds"]
    )
    count = steps.number_input(
        "Steps", 1, None, _STEPS, key="w_steps", persist_state="session", help=_HELP["steps"]
    )
    return {"gamma": _numbers(words), "init": inits, "seeds": int(number), "steps": int(count)}


def _wanted(
    tasks: list[str], model: str, texts: list[str], most: int, numbers: dict[str, Any]
) -> WantedStudy:
    for what, given in (("task", tasks), ("text or set", texts), ("start", numbers["init"])):
        if not given:
            raise TrainingError(f"a study needs at least one {what}: choose one")
    request = WaywardRequest(
        model=(model,), task=tuple(tasks), targets=tuple(texts), target_count=most, **numbers
    )
    config = wayward_config(request)
    runs = count_wayward_runs(config) if is_local(model) else None
    return WantedStudy(replace(config, command=command_of(request, "wayward")), runs)


def _numbers(words: str) -> list[float]:
    try:
        return [float(part) for part in words.split(",") if part.strip()]
    except ValueError:
        raise TrainingError(f"γ must be numbers with commas between, found {words}") from None
