"""Studies as processes of their own that outlive whoever starts them; folders are the truth.

Packs that were finished are kept by content, so a study that is cancelled or killed goes on where
it was; the pack it was at goes on from its last checkpoint.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from probe.errors import TrainingError, WorkspaceError
from probe.jobs.launching import launch
from probe.jobs.processes import is_alive, require_posix
from probe.jobs.views import ObservedState, observe
from probe.store import ACTIVE, Status, StudyConfig, StudyFolder, Workspace

_LOG = logging.getLogger(__name__)
_SAVE_S = 30.0
_END_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True)
class StudyView:
    """One study, at one moment."""

    study: str
    kind: str
    state: ObservedState
    """interrupted: its process died without a word; it can be resumed."""
    name: str
    created: str
    done: int
    """Runs that are finished."""
    runs: int | None
    """Different ones in all; None until they are counted."""
    found: int
    """Of those done, how many had been trained before."""
    step: int | None
    """Updates of the present pack; None between packs."""
    steps: int | None
    loss_nats: float | None
    eta_s: float | None
    activity: str
    message: str
    folder: str

    @property
    def active(self) -> bool:
        """Whether a process is at it."""
        return self.state in ACTIVE

    @property
    def resumable(self) -> bool:
        """Whether there is something left to do and nobody at it."""
        return self.state in ("interrupted", "cancelled", "failed")

    def to_json(self) -> dict[str, Any]:
        """Every field."""
        return asdict(self)


def study_view(study: StudyFolder) -> StudyView:
    """The study as it is now.

    Raises:
        WorkspaceError: its folder is damaged or gone.
    """
    config = study.config
    status, state = observe(study)
    living, counts = state in ACTIVE, status.metrics
    return StudyView(
        study=study.id,
        kind=config.kind,
        state=state,
        name=config.name,
        created=config.created,
        done=status.step,
        runs=counts.get("runs"),
        found=counts.get("found", 0),
        step=counts.get("pack_step") if living else None,
        steps=counts.get("pack_steps") if living else None,
        loss_nats=status.loss_nats,
        eta_s=status.eta_s if living else None,
        activity=status.activity if living else "",
        message=status.message,
        folder=str(study.path),
    )


def study_views(workspace: Workspace, kind: str) -> Sequence[StudyView]:
    """Every study of a kind, the newest first; damaged ones are named on the way and left out."""
    found = []
    for study in workspace.studies:
        try:
            found.append(study_view(study))
        except WorkspaceError as error:
            _LOG.warning("left out %s: %s", study.id, error)
    mine = [one for one in found if one.kind == kind]
    return sorted(mine, key=lambda one: (one.created, one.study), reverse=True)


def start_study(workspace: Workspace, config: StudyConfig, module: str) -> StudyFolder:
    """Start a worker for a study that nobody works at; one that is finished is left as it is.

    Args:
        workspace: where the study is, or will be.
        config: what it asks.
        module: of the worker, `python -m MODULE FOLDER`.

    Raises:
        TrainingError: a process is at it, or no worker can be started here.
        WorkspaceError: the workspace cannot be written.
    """
    require_posix()
    if config.id in {study.id for study in workspace.studies}:
        study = workspace.studies.get(config.id)
        status, state = observe(study)
        if state in ACTIVE:
            raise TrainingError(f"{study.id} is {state}: cancel it first, or wait")
        if state == "finished":
            return study
        # What it had reached stays on show until the worker has counted anew.
        queued = Status(
            "queued", time.time(), step=status.step, metrics={"runs": status.metrics.get("runs")}
        )
    else:
        queued = Status("queued", time.time())
    study = workspace.studies.open(config, queued)
    launch(study, module)
    return study


def cancel_study(
    workspace: Workspace, reference: str, *, save_s: float = _SAVE_S, end_s: float = _END_S
) -> StudyFolder:
    """End a study so that it can go on; first kindly, then not.

    Args:
        workspace: where the study is.
        reference: its name.
        save_s: time it has to end by itself after SIGINT, before SIGTERM.
        end_s: time after SIGTERM before SIGKILL.

    Raises:
        TrainingError: nobody works at it.
        WorkspaceError: there is no such study.
    """
    study = workspace.studies.get(reference)
    _, state = observe(study)
    if state not in ACTIVE:
        raise TrainingError(f"{study.id} is {state}: there is nothing to cancel")
    patience = ((signal.SIGINT, save_s), (signal.SIGTERM, end_s), (signal.SIGKILL, end_s))
    for number, within_s in patience:
        _signal(study.status, number)
        if _ends(study, within_s):
            break
    status, state = observe(study)
    if state == "interrupted":  # killed: it could not say so itself
        message = "killed while it did not answer: finished packs are kept"
        study.write(replace(status, state="cancelled", message=message))
    return study


def _signal(status: Status, number: signal.Signals) -> None:
    """Signal the process alone: one that a terminal started may share its group with others."""
    if status.pid is None or not is_alive(status.pid, status.started):
        return
    try:
        os.kill(status.pid, number)
    except ProcessLookupError:
        return  # it has just ended


def _ends(study: StudyFolder, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while observe(study)[1] in ACTIVE:
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True
