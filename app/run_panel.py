"""One run on the page: the answer, its curves, its log; redrawn while it lives."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st
from exports import draw_downloads
from guard import one_line_errors
from plain import plain
from resources import workspace
from run_actions import draw_actions
from run_records import log_tail, records_of
from run_words import BADGES, answer, hint, score_sentence, shown_name

from probe.charts import Curves, curves, loss_curves, moved_curves, norm_curves, score_curves
from probe.errors import WorkspaceError
from probe.jobs import RunView, look, view
from probe.jobs.pace import duration
from probe.store import ACTIVE
from probe.verbs import train_command
from probe.verbs.run_exports import RunRecord, runs_html, runs_json, steps_csv

POLL_S = 1.0
_STATIC = {"displayModeBar": False}


def draw_run(run_id: str) -> None:
    """A run with everything there is to see of it; it draws itself anew while it is at work.

    Raises:
        WorkspaceError: there is no such run, or its folder is damaged.
    """
    folder = workspace().runs.get(run_id)
    found = view(workspace(), folder)
    st.subheader(plain(shown_name(found)), anchor=False)
    st.markdown(
        f"{BADGES[found.state]} task **{plain(_short(found.task))}** on "
        f"**{plain(_short(found.model))}**, {plain(found.method.replace('_', ' '))}"
    )
    draw_actions(found)
    every = POLL_S if found.active else None
    st.fragment(_draw_progress, run_every=every)(folder.id, _states())
    with st.expander("Settings and the command that asks for the same run"):
        st.code(shlex.join(folder.config.command or train_command(folder.config)), "bash",
                wrap_lines=True)  # fmt: skip
        st.json(dict(folder.config.training), expanded=True)
    _draw_exports(folder.id)


def _draw_progress(run_id: str, states: Sequence[tuple[str, str]]) -> None:
    """The part that changes; once any run starts or ends, the whole page is drawn anew."""
    with one_line_errors():
        if _states() != states:
            st.rerun()
        folder = workspace().runs.get(run_id)
        found = view(workspace(), folder)
        _draw_answer(found)
        records = records_of(folder)
        _draw_numbers(found, records[-1] if records else {})
        if records:
            _draw_curves(found, curves(shown_name(found), records))
        if text := log_tail(folder):
            with st.expander("Log"):
                st.code(text, language=None, wrap_lines=True)


def _draw_answer(run: RunView) -> None:
    st.markdown(f"#### {answer(run)}")
    if run.state == "finished" and (score := score_sentence(run)):
        st.markdown(score[0].upper() + score[1:])
    if run.message and run.state in ("running", "finished"):
        st.warning(plain(run.message), icon=":material/warning:")
    if advice := hint(run):
        st.markdown(advice)
    st.progress(min(1.0, run.step / run.steps), text=f"{run.step:,} of {run.steps:,} steps")


def _draw_numbers(run: RunView, last: dict[str, object]) -> None:
    numbers = {"Loss": _number(run.loss_nats, "{:.3f} nats")}
    if run.validation and run.validation["metric"] != "loss_nats":
        name = f"Validation {run.validation['metric'].replace('_', ' ')}"
        numbers[name] = _number(run.validation["value"], "{:.3f}")
    numbers["Mean norm"] = _number(last.get("norm"), "{:.3g}")
    numbers["Speed"] = _number(run.tokens_per_s, "{:,.0f} tokens/s")
    if run.active:
        numbers["Time left"] = "–" if run.eta_s is None else duration(run.eta_s)
    with st.container(horizontal=True, gap="large"):
        for name, value in numbers.items():
            st.metric(name, value, width="content")


def _draw_curves(run: RunView, found: Curves) -> None:
    alone = run.metrics.get(f"zero_shot_{found.metric}")
    left, right = st.columns(2, gap="large")
    drawn = {
        "loss": (loss_curves([found], steps=run.steps), "Loss of training and validation"),
        "score": (score_curves([found], steps=run.steps, alone=alone), "Validation score"),
        "norm": (norm_curves([found], steps=run.steps), "Mean norm of the prompt's rows"),
        "moved": (moved_curves([found], steps=run.steps), "Positions whose token has changed"),
    }
    shown = {
        "loss": True,
        "score": len(found.score.steps) > 0 and found.metric != "loss_nats",
        "norm": len(found.norm.steps) > 0,
        "moved": len(found.moved.steps) > 0,
    }
    places = [left, right] * 2
    for place, (key, (figure, words)) in zip(
        places, ((key, one) for key, one in drawn.items() if shown[key]), strict=False
    ):
        figure.update_layout(showlegend=key == "loss")
        with place:
            st.plotly_chart(
                figure, key=f"{key}_{run.run}", config=_STATIC, alt=f"{words} over the steps"
            )


def _draw_exports(run_id: str) -> None:
    def record() -> RunRecord:
        folder = space.runs.get(run_id)
        return RunRecord(view(space, folder), folder.config, records_of(folder))

    space = workspace()
    draw_downloads(
        run_id,
        {
            "csv": lambda: steps_csv([record()]),
            "json": lambda: runs_json([record()]),
            "html": lambda: runs_html([record()]),
        },
        {"run": run_id},
    )


def _states() -> list[tuple[str, str]]:
    """Which runs are at work, and how."""
    found = []
    for run in workspace().runs:
        try:
            _, state = look(run)
        except WorkspaceError:
            continue  # damaged, or deleted just now
        if state in ACTIVE:
            found.append((run.id, state))
    return found


def _short(name: str) -> str:
    """The last part of a path, the whole of any other name."""
    return name.rstrip("/").rpartition("/")[2] if name.startswith("/") else name


def _number(value: object, pattern: str) -> str:
    return pattern.format(value) if isinstance(value, int | float) else "–"
