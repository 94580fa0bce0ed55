"""One waywardness study on the page: how it stands, what it found, and its figures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.shared.errors import one_line_errors
from dashboard.shared.exports import draw_downloads, draw_settings
from dashboard.shared.heading import draw_figure
from dashboard.shared.jobs import BADGES, POLL_S, headline, short, study_of
from dashboard.shared.markdown import plain
from dashboard.waywardness.prompts import draw_prompts
from probe.analysis.gains import relative_change, signed
from probe.analysis.waywardness import Waywardness
from probe.bootstrap import LEVEL, RESAMPLES
from probe.charts import waywardness_figures
from probe.jobs.headlines import job_advice
from probe.reports.spreadsheets import csv_of
from probe.reports.studies import wayward_html
from probe.store import JobFolder
from probe.texts import as_json, counted, init_words
from probe.verbs.waywardness import wayward_found

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from probe.analysis.waywardness import TableRow
    from probe.bootstrap import Estimate
    from probe.jobs import JobView


def draw_study(seen: JobView) -> None:
    """A study with everything there is to see of it.

    Raises:
        WorkspaceError: its folder is damaged or gone.
    """
    study, _ = study_of(seen.run)
    found = found_of(study)
    first, *others = found.headline() or [_nothing_yet(seen)]
    st.subheader(plain(first), anchor=False)
    for sentence in others:
        st.markdown(plain(sentence))
    every = 2 * POLL_S if seen.active else None
    st.fragment(_draw_progress, run_every=every)(seen.run, seen.state, results_stamp(study))
    if found.table:
        _draw_evidence(study, found)
    with st.expander("Settings and the command that asks for the same study"):
        _draw_settings(study)
    if found.runs:
        _draw_exports(study, found)


def results_stamp(study: JobFolder) -> int:
    """Another number whenever the results are."""
    try:
        return study.results.stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_resource(
    max_entries=16, show_spinner=False,
    hash_funcs={JobFolder: lambda study: (str(study.path), results_stamp(study))},
)  # fmt: skip
def found_of(study: JobFolder) -> Waywardness:
    """What the finished runs of a study come to, computed once for each state of its results.

    Raises:
        WorkspaceError: its results cannot be read.
    """
    return wayward_found(study)


def _nothing_yet(seen: JobView) -> str:
    if seen.active:
        return "No text has both its baseline and a wayward prompt yet."
    return "The study stopped before a text had both its baseline and a wayward prompt."


def _draw_progress(study_id: str, state: str, stamp: int) -> None:
    """The part that changes; new results draw the whole page anew."""
    with one_line_errors():
        study, seen = study_of(study_id)
        if seen.state != state or results_stamp(study) != stamp:
            st.rerun()
        advice = job_advice(seen, resume="**Resume**")
        st.markdown(f"{BADGES[seen.state]} {headline(seen)} {advice}")
        if seen.state != "finished":
            st.progress(seen.share, text=_counted(seen))


def _counted(seen: JobView) -> str:
    if not seen.runs:
        return "counting the prompts"
    present = "; the bar is the present batch" if seen.steps else ""
    return f"{seen.done:,} of {counted(seen.runs, 'prompt')}{present}"


def _draw_evidence(study: JobFolder, found: Waywardness) -> None:
    figures = list(waywardness_figures(found).items())
    _draw_figures(study, figures[:1])
    _draw_table(found)
    _draw_figures(study, figures[1:])
    draw_prompts(study, found)


def _draw_table(found: Waywardness) -> None:
    seeds = sorted({row.seeds for row in found.table})
    # Whole rows before their parts, and starts elsewhere before those at the target.
    rows = sorted(found.table, key=lambda row: (row.kind != "all", row.init == "target", row.task))
    st.dataframe(
        [_row(row) for row in rows], hide_index=True, placeholder="",
        height=38 + 35 * min(len(found.table), 12),
        alt="Main table: accuracy at γ = 0 and constrained to the text, and what the prompt says",
    )  # fmt: skip
    st.caption(
        f"Means over texts and {'–'.join(map(str, seeds))} seed{'s' * (seeds != [1])} each"
        f"{_BRACKETS if found.has_intervals else ''}. Test data; γ chosen on validation data. "
        "Gain over no prompt: of the accuracy at γ = 0, with its 95 % interval over the examples."
    )


def _draw_figures(study: JobFolder, figures: Sequence[tuple[str, go.Figure]]) -> None:
    for title, figure in figures:
        st.subheader(title, anchor=False)
        draw_figure(figure, f"figure_{title}_{study.id}", f"{title} of this study")
        st.caption(_CAPTIONS[title])


_BRACKETS = (
    f"; brackets hold {100 * LEVEL:.0f} % of {RESAMPLES:,} resamples of texts and of seeds within "
    "them"
)
_CAPTIONS = {
    "What γ does to accuracy and Prompt F1": "Mean over texts and seeds at each γ, with twice the "
    "standard error of the runs. The dotted line below is F1 0.98, above which a prompt says its "
    "text.",
    "Prompt length": "One point per text: what the constraint to it does to the accuracy, in "
    "percent of that at γ = 0.",
    "True against contradictory definitions": "If what a prompt says mattered, a true definition "
    "would cost less than one that contradicts the task.",
    "Model size": "One point per text, and the mean of each model.",
}


def _row(row: TableRow) -> dict[str, Any]:
    return {
        "task": short(row.task),
        "start": init_words(row.init),
        "texts": f"{row.kind} ({row.targets})",
        "say their text": f"{row.saying_target} of {row.targets}",
        "solved": {True: "yes", False: "no", None: "not known"}[row.solved],
        "no prompt": row.zero_shot_accuracy and f"{row.zero_shot_accuracy:.3f}",
        "accuracy, γ = 0": _cell(row.baseline_accuracy),
        "accuracy, wayward": _cell(row.wayward_accuracy),
        "accuracy change": row.delta and relative_change(row.delta.value, row.delta.interval),
        "Prompt F1": _cell(row.f1),
        "F1, γ = 0": _cell(row.f1_at_zero),
        "gain over no prompt": _gain(row.gain),
        "majority label": row.majority_accuracy and f"{row.majority_accuracy:.3f}",
        "model": short(row.model),
    }


def _cell(one: Estimate) -> str:
    if one.interval is None:
        return f"{one.value:.3f}"
    low, high = one.interval
    return f"{one.value:.3f} [{low:.2f}, {high:.2f}]"


def _gain(one: Estimate | None) -> str | None:
    if one is None:
        return None
    ends = "" if one.interval is None else " [{}, {}]".format(*(signed(x, 2) for x in one.interval))
    return f"{signed(one.value)}{ends}"


def _draw_settings(study: JobFolder) -> None:
    draw_settings(study.config.request, study.config.command)
    st.caption(f"Folder of the study: {plain(str(study.path))}")


def _draw_exports(study: JobFolder, found: Waywardness) -> None:
    def table() -> str:
        frame = found.to_frame().assign(resamples=RESAMPLES, seed=found.seed)
        return csv_of(frame)

    def document() -> str:
        runs = [dataclasses.asdict(run) for run in found.runs]
        return json.dumps(
            {"study": name, "settings": settings, **found.to_json(), "every_run": as_json(runs)},
            ensure_ascii=False, indent=1,
        )  # fmt: skip

    name, settings, title = study.id, dict(study.config.request), study.config.name
    draw_downloads(
        name,
        {
            "csv": table,
            "json": document,
            "parquet": lambda: found.runs_frame().to_parquet(index=False),
            "html": lambda: wayward_html(found, name=title),
        },
        {"study": name, "see": st.query_params.get("see")},
    )
