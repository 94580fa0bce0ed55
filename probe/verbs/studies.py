"""Studies of many trainings: planned, or done from end to end in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.notes import collected
from probe.requests import SweepRequest, WaywardRequest
from probe.results import Result
from probe.store import JobConfig, Workspace
from probe.verbs.training import place

if TYPE_CHECKING:
    import pandas as pd

    from probe.jobs.plan import StudyPlan, TrainPlan
    from probe.studies import Executor, Progress

StudyRequest = WaywardRequest | SweepRequest


@dataclass(frozen=True, eq=False)
class StudyResult(Result):
    """A finished study and where it lies."""

    found: Any
    """What its runs come to: a `Waywardness`, or the `GridResult` of a sweep."""
    document: Mapping[str, Any]
    """What the command prints with `--json`."""
    folder: Path

    def _document(self) -> Mapping[str, Any]:
        return self.document

    def to_frame(self) -> pd.DataFrame:
        """The main table."""
        frame: pd.DataFrame = self.found.to_frame()
        return frame


def dry_run(
    config: JobConfig, *, at_once: int = 8, workspace: Workspace | None = None
) -> TrainPlan | StudyPlan:
    """What a training or a study would do, and how long it would take: two steps, measured.

    Raises:
        ProbeError: it could not be done as it is asked for.
    """
    from probe.jobs import plan

    return plan.dry_run(config, workspace or Workspace(), at_once=at_once)


study_plan = dry_run
"""Its name while it planned studies only."""


def study_run(
    config: JobConfig,
    *,
    executor: Executor | None = None,
    workspace: Workspace | None = None,
    watch: Callable[[Progress], None] = lambda _: None,
    told: Callable[[Sequence[str]], None] = lambda _: None,
) -> StudyResult:
    """Do a study; what was trained before, by this or another study, is not trained again.

    Its folder is kept up to date after every pack, so that others can watch.

    Args:
        config: what is asked.
        executor: this process, in packs of eight, when None.
        workspace: where results are kept; the default one when None.
        watch: told of the start, of every step, and of every finished pack.
        told: the jobs ahead of it in the queue, where there are some.

    Raises:
        ProbeError: a run cannot be done, or another process works at the same study.
    """
    from probe.jobs import studying
    from probe.jobs.worker import at_work
    from probe.studies import study_document

    workspace = workspace or Workspace()
    study = studying.study_of(config)  # what cannot be done is refused before there is a folder
    elsewhere = executor is not None and executor.ray not in (None, "local")
    with (
        collected(),
        at_work(workspace, config, takes_turn=not elsewhere, told=told) as (job, reporter, stop),
    ):
        found = studying.make(study, workspace, job, reporter, stop, executor, watch)
        return StudyResult(found, study_document(job, found), job.path)


def executor_of(request: StudyRequest) -> Executor:
    """Where the packs of a study are trained, and how large they are."""
    from probe.studies import Executor

    return Executor(request.at_once, request.ray, request.gpu_share)


def shared_by(request: StudyRequest) -> dict[str, Any]:
    """What all runs of a study share, its folder of data by its full path."""
    from probe.studies import StudySettings

    return asdict(
        StudySettings(
            data_dir=None if request.data_dir is None else place(request.data_dir),
            device=request.device,
            dtype=request.dtype,
            validation_examples=request.validation_examples,
            test_examples=request.test_examples,
        )
    )
