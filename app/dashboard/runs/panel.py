"""One run on the page: the answer, its curves, its log; redrawn while it lives."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import streamlit as st

from dashboard.decode.meaning import draw_meaning
from dashboard.runs.actions import draw_actions
from dashboard.runs.records import log_tail, record_of, records_of
from dashboard.runs.trajectory import draw_trajectory
from dashboard.shared.errors import one_line_errors
from dashboard.shared.exports import draw_downloads, draw_settings
from dashboard.shared.heading import draw_figure
from dashboard.shared.jobs import BADGES, POLL_S, active_jobs, headline, run_of, short, shown_name
from dashboard.shared.markdown import plain
from dashboard.shared.resources import find, is_local, workspace
from probe.analysis.gains import score_sentence
from probe.charts import Curves, curves, loss_curves, moved_curves, norm_curves, score_curves
from probe.errors import ProbeError
from probe.jobs import JobView, ObservedState
from probe.jobs.headlines import job_advice, was_killed
from probe.jobs.processes import resident_bytes
from probe.store import JobConfig, Record
from probe.texts import counted, duration
from probe.verbs.distilling import distill_command
from probe.verbs.run_exports import RunRecord, runs_html, runs_json, steps_csv
from probe.verbs.training import train_command

REDRAW_S = 1.9
"""Just under two polls."""


def draw_run(run_id: str, *, exports: bool = True) -> None:
    """A run with everything there is to see of it; it draws itself anew while it is at work.

    Raises:
        WorkspaceError: there is no such run, or its folder is damaged.
    """
    folder, found = workspace().runs.get(run_id), run_of(run_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(plain(shown_name(found)), anchor=False, width="content")
        st.markdown(f"{BADGES[found.state]} {_asked(found, folder.config)}", width="content")
    draw_actions(found)
    every = POLL_S if found.active else None
    st.fragment(_draw_progress, run_every=every)(folder.id, active_jobs())
    if not found.active:
        draw_trajectory(found)
    with st.expander("Settings and the command that asks for the same run"):
        draw_settings(folder.config.request["training"], _command(folder.config))
    if exports:
        _draw_exports(folder.id)


def _asked(run: JobView, config: JobConfig) -> str:
    if run.kind == "distill":
        return asked_of(config, short(run.model))
    return (
        f"task **{plain(short(run.task))}** on **{plain(short(run.model))}**, "
        f"{plain(run.method.replace('_', ' '))}"
    )


def _command(config: JobConfig) -> tuple[str, ...]:
    """The command that asks for the same run; empty where its settings are no longer valid."""
    command_of = distill_command if config.kind == "distill" else train_command
    try:
        return config.command or command_of(config)
    except ProbeError:
        return ()


def _draw_progress(run_id: str, states: Sequence[tuple[str, ObservedState]]) -> None:
    """The part that changes; once any run starts or ends, the whole page is drawn anew."""
    with one_line_errors():
        if active_jobs() != states:
            st.rerun()
        folder, found = workspace().runs.get(run_id), run_of(run_id)
        _draw_answer(found, folder.config)
        records = records_of(folder)
        _draw_numbers(found, records[-1] if records else {})
        if records:
            _draw_curves(found, _kept_curves(found, records))
        if text := log_tail(folder):
            with st.expander("Log"):
                st.code(text, language=None, wrap_lines=True)


def _draw_answer(run: JobView, config: JobConfig) -> None:
    st.markdown(f"#### {headline(run)}")
    if run.state == "finished" and run.kind == "distill":
        draw_distilled(run, config)
    elif run.state == "finished" and (score := score_sentence(run.metrics, strong="**")):
        st.markdown(score)
    if run.message and (run.state in ("running", "finished") or was_killed(run)):
        st.warning(plain(run.message), icon=":material/warning:")
    if advice := job_advice(run, resume="**Resume**"):
        st.markdown(advice)
    if run.state != "finished" or run.step < run.steps:
        st.progress(run.share, text=f"{run.step:,} of {counted(run.steps, 'step')}")


def _draw_numbers(run: JobView, last: dict[str, object]) -> None:
    numbers = {"Loss": _number(run.loss_nats, "{:.3f} nats")}
    if run.validation and run.validation["metric"] != "loss_nats":
        name = f"Validation {run.validation['metric'].replace('_', ' ')}"
        numbers[name] = _number(run.validation["value"], "{:.3f}")
    numbers["Mean norm"] = _number(last.get("norm"), "{:.3g}")
    numbers["Speed"] = _number(run.tokens_per_s, "{:,.0f} tokens/s")
    if run.active:
        numbers["Time left"] = "–" if run.eta_s is None else duration(run.eta_s)
    if run.device:
        numbers["Device"] = run.device
    if run.pid and (held := resident_bytes(run.pid)):
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        numbers["Memory"] = f"{held / 1e9:.1f} of {whole / 1e9:.0f} GB"
    with st.container(horizontal=True, gap="medium"):
        for name, value in numbers.items():
            st.metric(name, value, width="content")


def _kept_curves(run: JobView, records: Sequence[Record]) -> Curves:
    """The curves as they were drawn last, unless that was a while ago.

    A chart whose data changes is made anew by the browser, so a living one changes now and then.
    """
    now, kept = time.monotonic(), st.session_state.get("drawn_curves")
    if kept and kept[:2] == (run.run, run.state) and now - kept[2] < REDRAW_S:
        return kept[3]  # type: ignore[no-any-return]
    found = curves(shown_name(run), records)
    st.session_state["drawn_curves"] = (run.run, run.state, now, found)
    return found


def _draw_curves(run: JobView, found: Curves) -> None:
    alone = run.metrics.get(f"zero_shot_{found.metric}")
    scored = len(found.score.steps) > 0 and found.metric != "loss_nats"
    figures = {
        "loss": (loss_curves([found], steps=run.steps), "Loss of training and validation"),
        "score": (score_curves([found], steps=run.steps, alone=alone), "Validation score"),
        "norm": (norm_curves([found], steps=run.steps), "Mean norm of the prompt's rows"),
        "moved": (moved_curves([found], steps=run.steps), "Positions whose token has changed"),
    }
    noted = {"score": scored, "norm": len(found.norm.steps), "moved": len(found.moved.steps)}
    shown = [key for key in figures if noted.get(key, True)]
    for row in (shown[:2], shown[2:]):
        for place, key in zip(st.columns(2, gap="large"), row, strict=False):
            figure, words = figures[key]
            figure.update_layout(showlegend=key == "loss")
            with place:
                draw_figure(figure, f"{key}_{run.run}", f"{words} over the steps")


def _draw_exports(run_id: str) -> None:
    def record() -> RunRecord:
        return record_of(run_of(run_id))

    draw_downloads(
        run_id,
        {
            "csv": lambda: steps_csv([record()]),
            "json": lambda: runs_json([record()]),
            "html": lambda: runs_html([record()]),
        },
        {"run": run_id},
    )


def _number(value: object, pattern: str) -> str:
    return pattern.format(value) if isinstance(value, int | float) else "–"


def draw_distilled(run: JobView, config: JobConfig) -> None:
    """The share of the text's effect, and the reading of the prompt while the library has it."""
    st.markdown(_share(run, int(config.request["length"])))
    for name in run.prompts:
        entry = find(name)
        if entry is not None and is_local(run.model):
            draw_meaning(entry, run.model)


def _share(run: JobView, length: int) -> str:
    found = run.metrics
    low, high = found["share_explained_interval"]
    return (
        f"The prompt has **{_percent(found['share_explained'])}** of the text's effect in "
        f"{counted(length, 'row')} ({_percent(low)} to {_percent(high)}, on "
        f"{counted(found['examples'], 'question')} it was not trained on). The text's own first "
        f"{counted(length, 'token')} {'has' if length == 1 else 'have'} "
        f"**{_percent(found['truncated_share_explained'])}**."
    )


def asked_of(config: JobConfig, model: str) -> str:
    """What is distilled into what, as Markdown."""
    return f"the text “{plain(config.request['text'])}” on **{plain(model)}**"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
