"""The prompt of a run at each step it was kept at: how it read, and where its rows stood."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.runs.records import records_of
from dashboard.shared.errors import one_line_errors
from dashboard.shared.heading import draw_figure
from dashboard.shared.limits import costly
from dashboard.shared.resources import files_of, is_local, vocabulary_for
from dashboard.shared.token_strip import draw_strip
from probe.analysis.decoding import Decoding
from probe.analysis.maps import Map
from probe.charts import trajectory_map
from probe.jobs import JobView
from probe.jobs.trajectory import kept_trajectory
from probe.prompt import SoftPrompt
from probe.reports.token_strips import LEGEND, nearest_strip
from probe.store import JobFolder
from probe.verbs import comparing, decoding


@st.fragment
def draw_trajectory(run: JobView) -> None:
    """A slider over the steps at which the run's prompt was kept; nothing where it was not."""
    with one_line_errors():
        kept = _kept(run.folder, 0, run.step)
        if len(kept) < 2 or not is_local(run.model):
            return
        st.subheader("Through training", anchor=False)
        number = 0
        if "folds" in run.metrics:
            numbers = range(len(run.metrics["folds"]))
            number = st.selectbox("Fold", numbers, format_func=lambda n: n + 1, key="kept_fold")
            kept = _kept(run.folder, number, run.step)
        steps = list(kept)
        step = st.select_slider("Step", steps, steps[-1], key=f"kept_{run.run}_{number}")
        files = files_of(run.model)
        start, now = (
            _decoding(run.folder, number, one, files, kept[one]) for one in (steps[0], step)
        )
        st.markdown(_sentence(run, number, step, start, now))
        draw_strip("The token nearest to each row at this step, in order", nearest_strip(now))
        st.caption(LEGEND)
        tokens = [one.neighbours[0].token for one in now.positions]
        mapped = _map(run.folder, number, len(kept), files, tuple(kept.values()))
        draw_figure(
            trajectory_map(mapped, steps.index(step), tokens), f"paths_{run.run}",
            f"The rows at step {step} among the vocabulary, and their paths from the start",
        )  # fmt: skip
        st.caption(
            f"The two axes hold {100 * sum(mapped.spectrum[:2]):.1f} % of the "
            "variance: rows that look near may lie far apart."
        )


def _sentence(run: JobView, number: int, step: int, start: Decoding, now: Decoding) -> str:
    """How far training had come, and which step's prompt is the one that was kept."""
    pairs = zip(start.positions, now.positions, strict=True)
    changed = sum(a.neighbours[0].id != b.neighbours[0].id for a, b in pairs)
    said = [
        f"Step **{step}** of {run.steps}: **{changed} of {len(now.positions)}** positions have "
        "another nearest token than at the start"
    ]
    for record in records_of(JobFolder(Path(run.folder))):
        if record["step"] == step and record.get("fold") in (None, number + 1):
            said.append(f"loss {record['loss_nats']:.3f} nats")
            if found := record.get("validation"):
                said.append(f"validation {found['metric'].replace('_', ' ')} {found['value']:.3f}")
    folds = run.metrics.get("folds", [run.metrics])
    best = folds[number].get("step")
    kept = "" if best is None else f" The prompt that is kept is that of step {best}."
    return f"{'; '.join(said)}.{kept}"


@st.cache_resource(show_spinner=False, max_entries=16)
def _kept(folder: str, number: int, step: int) -> dict[int, SoftPrompt]:  # noqa: ARG001
    """By step; a run that went further has kept more."""
    return kept_trajectory(JobFolder(Path(folder)), number)


@st.cache_data(show_spinner="Comparing every row with every token …", max_entries=256)
@costly
def _decoding(
    folder: str, number: int, step: int, files: object, _prompt: SoftPrompt  # noqa: ARG001
) -> Decoding:  # fmt: skip
    return decoding.decode(_prompt, model=vocabulary_for(_prompt, str(_prompt.base_model)))


@st.cache_resource(show_spinner="Laying out the vocabulary …", max_entries=4)
@costly
def _map(
    folder: str, number: int, count: int, files: object, _prompts: tuple[SoftPrompt, ...]  # noqa: ARG001
) -> Map:  # fmt: skip
    return comparing.map(_prompts, model=vocabulary_for(_prompts[0], str(_prompts[0].base_model)))
