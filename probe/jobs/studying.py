"""What is done when the turn of a study has come: train what is missing, and write what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

from probe.analysis.reading_rates import ReadingRates
from probe.analysis.waywardness import Waywardness
from probe.jobs.processes import StopRequest
from probe.jobs.reporter import Reporter
from probe.notes import collected
from probe.readings.hit_rates import keep_rates
from probe.reports.figures import result_html
from probe.reports.studies import wayward_html
from probe.results import Result
from probe.store import (
    SCORING,
    TRAINING,
    JobConfig,
    JobFolder,
    JobKind,
    Status,
    Workspace,
    keep_file,
)
from probe.studies.cache import ResultCache
from probe.studies.executor import Executor, Progress, sweep
from probe.studies.grid import sweep_study
from probe.studies.known import known_study
from probe.studies.specs import Study, StudySummary
from probe.studies.wayward import wayward_study
from probe.studies.writer import StudyWriter
from probe.texts import as_json

_PACK = ("pack_step", "pack_steps")
_STUDIES: Mapping[JobKind, Callable[[Mapping[str, Any], Workspace], Study]] = {
    "wayward": lambda request, _: wayward_study(request),
    "sweep": lambda request, _: sweep_study(request),
    "readings": lambda request, workspace: known_study(request, workspace.cache),
}
_TITLES: Mapping[JobKind, str] = {"sweep": "Sweep", "readings": "Readings"}


def run(workspace: Workspace, job: JobFolder, reporter: Reporter, stop: StopRequest) -> None:
    """Do the runs of a study that are missing, and report its end.

    Raises:
        Stopped: somebody asked for it; finished packs are kept.
        ProbeError: a run cannot be done as it was asked for.
    """
    with collected():
        make(study_of(job.config, workspace), workspace, job, reporter, stop)


def study_of(config: JobConfig, workspace: Workspace) -> Study:
    """The study that was asked for, its models and tasks read; writes nothing.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    return _STUDIES[config.kind](config.request, workspace)


def make(
    study: Study,
    workspace: Workspace,
    job: JobFolder,
    reporter: Reporter,
    stop: StopRequest,
    executor: Executor | None = None,
    watch: Callable[[Progress], None] = lambda _: None,
) -> StudySummary:
    """Train what is missing of a study, and keep its folder up to date after every pack.

    Raises:
        Stopped: somebody asked for it.
        ProbeError: a run cannot be done as it was asked for.
    """
    cache = cache_of(workspace)
    writer = StudyWriter(study, cache, job)

    def watched(progress: Progress) -> None:
        writer.watch(progress)
        report(reporter, progress)
        watch(progress)
        stop.check()

    sweep(study.runs, study.settings, cache, executor=executor, watch=watched)
    if study.read is not None:
        reporter.doing(SCORING)
        study.read(executor or Executor(), partial(_read, writer, stop, watch))
    summary = writer.write()
    if isinstance(summary, ReadingRates):
        keep_rates(workspace, as_json(summary.counted()))
    keep_file(job.figures, page_of(job.config, summary).encode("utf-8", "backslashreplace"))
    counts = {key: n for key, n in reporter.status.metrics.items() if key not in _PACK}
    reporter.end("finished", metrics=counts)
    return summary


def _read(
    writer: StudyWriter, stop: StopRequest, watch: Callable[[Progress], None], progress: Progress
) -> None:
    """After every pack of readings; the status goes on counting trainings."""
    if progress.done > progress.found:
        writer.write()
    watch(progress)
    stop.check()


def report(reporter: Reporter, progress: Progress) -> None:
    """Note how far a study is: finished packs at once, steps at most once a second."""
    before = reporter.status
    status = _status(before, progress)
    changed = progress.done != before.step or status.activity != before.activity
    reporter.beat(status, now=progress.pack is None or changed)


def page_of(config: JobConfig, summary: StudySummary) -> str:
    """What a study found as one page that opens anywhere."""
    if isinstance(summary, Waywardness):
        return wayward_html(summary, name=config.name)
    return result_html(f"{_TITLES[config.kind]}: {config.name}", cast(Result, summary))


def _status(before: Status, progress: Progress) -> Status:
    counts: dict[str, Any] = {
        "runs": progress.runs,
        "found": progress.found,
        "packs": progress.packs,
    }
    if (pack := progress.pack) is not None:
        counts |= dict(zip(_PACK, (pack.step, pack.steps), strict=True))
    return replace(
        before,
        activity=SCORING if pack and pack.scoring else TRAINING,
        step=progress.done,
        loss_nats=as_json(pack.loss_nats) if pack and pack.loss_nats is not None else None,
        eta_s=progress.eta_s,
        metrics=counts,
    )


def cache_of(workspace: Workspace) -> ResultCache:
    """Where a workspace keeps the finished runs of its studies."""
    return ResultCache(workspace.cache / "studies")
