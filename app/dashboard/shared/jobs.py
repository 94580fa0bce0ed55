"""Runs and studies of the workspace: how they stand, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.shared.errors import attempt
from dashboard.shared.markdown import plain
from dashboard.shared.resources import workspace
from probe import jobs
from probe.errors import WorkspaceError
from probe.jobs import JobView, ObservedState
from probe.jobs.headlines import job_headline
from probe.paths import shipped
from probe.store import ACTIVE, TRAININGS, JobConfig, JobFolder, Workspace
from probe.verbs import training

POLL_S = 1.0
"""How often a page looks at what is at work."""
BADGES = {
    "queued": ":gray-badge[:material/schedule: queued]",
    "running": ":blue-badge[:material/play_arrow: running]",
    "finished": ":green-badge[:material/check: finished]",
    "cancelled": ":gray-badge[:material/stop: cancelled]",
    "interrupted": ":orange-badge[:material/warning: interrupted]",
    "failed": ":red-badge[:material/error: failed]",
}


_SAY_NOTHING = ("hf", "model", "models", "checkpoint", "final", "best", "output", "snapshot")
"""Folders that many models are in, so that only the one around them tells which."""


def short(name: str) -> str:
    """The last part of a path, with the one before it where it says nothing; else the whole."""
    if not name.startswith("/"):
        return name
    *_, before, last = f"/{name.rstrip('/')}".split("/")
    return f"{before}/{last}" if last.lower() in _SAY_NOTHING and before else last or name


def shown_name(job: JobView) -> str:
    """Its label, or its name where it has none."""
    return job.label or job.run


def headline(job: JobView) -> str:
    """How a job stands, in one sentence of Markdown."""
    return job_headline(job, shown=plain)


def all_runs() -> Sequence[JobView]:
    """Every training and distillation, the newest first."""
    return jobs.views(workspace(), *TRAININGS)


def run_of(run: str) -> JobView:
    """How a run stands now.

    Raises:
        WorkspaceError: there is no such run, or its folder is damaged.
    """
    return training.show_run(run, workspace=workspace())


def active_jobs() -> list[tuple[str, ObservedState]]:
    """Which runs and studies work or wait, and which of both."""
    found: list[tuple[str, ObservedState]] = []
    for job in workspace().jobs:
        try:
            _, state = jobs.observe(job)
        except WorkspaceError:
            continue  # damaged, or deleted just now
        if state in ACTIVE:
            found.append((job.id, state))
    return found


def start_job(config: JobConfig) -> str:
    """Start a worker of its own for a run or a study; its id.

    Raises:
        ProbeError: what is asked for cannot be done.
    """
    return jobs.start(workspace(), config).id


def wayward_studies() -> Sequence[JobView]:
    """Every waywardness study of one's own, the newest first."""
    return jobs.views(workspace(), "wayward")


def sample_studies() -> Sequence[JobView]:
    """The finished studies that come with probe: folders as a workspace has them."""
    return jobs.views(space, "wayward") if (space := _samples()) else ()


def study_of(study: str) -> tuple[JobFolder, JobView]:
    """The folder of a study, and how it stands now.

    Raises:
        WorkspaceError: there is no such study, or its folder is damaged.
    """
    samples, space = _samples(), workspace()
    if samples and study in samples.studies.ids():
        space = samples
    folder = space.studies.get(study)
    return folder, jobs.view(space, folder)


def _samples() -> Workspace | None:
    root = shipped("sample_prompts")
    return None if root is None else Workspace(root)


def draw_changes(job: JobView, *, help_: str | None = None) -> None:
    """The buttons of a run's or study's end and of its way on, whichever makes sense."""
    if job.active and st.button(
        "Cancel", icon=":material/stop:", key=f"cancel_{job.run}", help=help_,
        disabled=job.activity == "stopping",
    ):  # fmt: skip
        cancel_job(job.run)
    if job.resumable and st.button(
        "Resume", icon=":material/play_arrow:", type="primary", key=f"resume_{job.run}"
    ):
        _act("Starting a worker …", lambda: training.resume_run(job.run, workspace=workspace()))


def cancel_job(job: str) -> None:
    """Let a run or a study end so that it can go on, and draw the page anew."""
    _act("Ending it …", lambda: training.cancel_run(job, workspace=workspace()))


def _act(doing: str, action: Callable[[], object]) -> None:
    with st.spinner(doing):
        attempt(action)
    st.rerun()
