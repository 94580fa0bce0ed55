"""Runs and studies of the workspace: how they stand, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard.shared.errors import attempt
from dashboard.shared.resources import workspace
from probe import jobs, studies, verbs
from probe.errors import WorkspaceError
from probe.jobs import ObservedState, RunView
from probe.store import ACTIVE, RunConfig, StudyConfig, StudyFolder
from probe.studies import StudyView

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
_STUDY_WORKER = "probe.verbs.study_worker"


def short(name: str) -> str:
    """The last part of a path, the whole of any other name."""
    return name.rstrip("/").rpartition("/")[2] if name.startswith("/") else name


def all_runs() -> Sequence[RunView]:
    """Every run, the newest first."""
    return verbs.runs(workspace())


def run_of(run: str) -> RunView:
    """How a run stands now.

    Raises:
        WorkspaceError: there is no such run, or its folder is damaged.
    """
    return verbs.show_run(run, workspace=workspace())


def active_runs() -> list[tuple[str, ObservedState]]:
    """Which runs are at work, and how."""
    found: list[tuple[str, ObservedState]] = []
    for run in workspace().runs:
        try:
            _, state = jobs.observe(run)
        except WorkspaceError:
            continue  # damaged, or deleted just now
        if state in ACTIVE:
            found.append((run.id, state))
    return found


def start_run(config: RunConfig) -> str:
    """Start a worker of its own; the id of the run.

    Raises:
        ProbeError: what is asked for cannot be done.
    """
    return jobs.start(workspace(), config).id


def wayward_studies() -> Sequence[StudyView]:
    """Every waywardness study, the newest first."""
    return studies.study_views(workspace(), "wayward")


def study_of(study: str) -> tuple[StudyFolder, StudyView]:
    """The folder of a study, and how it stands now.

    Raises:
        WorkspaceError: there is no such study, or its folder is damaged.
    """
    folder = workspace().studies.get(study)
    return folder, studies.study_view(folder)


def start_study(config: StudyConfig) -> str:
    """Start a worker of its own for a new study or one that stopped; the id of the study.

    Raises:
        ProbeError: what is asked for cannot be done.
    """
    return studies.start_study(workspace(), config, _STUDY_WORKER).id


def cancel_run(run: str) -> None:
    """Let a run save and end, and draw the page anew."""
    _act("Saving a checkpoint …", lambda: verbs.cancel_run(run, workspace=workspace()))


def resume_run(run: str) -> None:
    """Let another worker go on with a run, and draw the page anew."""
    _act("Starting a worker …", lambda: verbs.resume_run(run, workspace=workspace()))


def cancel_study(study: str) -> None:
    """End a study so that it can go on, and draw the page anew."""
    _act("Ending it …", lambda: studies.cancel_study(workspace(), study))


def resume_study(study: str) -> None:
    """Let another worker go on with a study, and draw the page anew."""
    config = workspace().studies.get(study).config
    _act("Starting a worker …", lambda: start_study(config))


def _act(doing: str, action: Callable[[], object]) -> None:
    with st.spinner(doing):
        attempt(action)
    st.rerun()
