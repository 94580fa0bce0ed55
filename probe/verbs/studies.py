"""Studies of many trainings, planned or done from end to end in this process; grids among them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from probe.datasets import task_names
from probe.notes import collected
from probe.requests import BenchReadingsRequest, SweepRequest, WaywardRequest, takes
from probe.results import Result
from probe.store import JobConfig, Workspace
from probe.tables import ALWAYS_NAMED
from probe.verbs.checks import check_study
from probe.verbs.training import full_path, new_config, place, settle_starts

if TYPE_CHECKING:
    from probe.studies.executor import Executor, Progress
    from probe.studies.grid import Grid


StudyRequest = WaywardRequest | SweepRequest


@dataclass(frozen=True, eq=False)
class StudyResult(Result):
    """A finished study and where it lies."""

    found: Any
    """What its runs come to: a `Waywardness`, the `GridResult` of a sweep, or `ReadingRates`."""
    document: Mapping[str, Any]
    """What the command prints with `--json`."""
    folder: Path
    _whole: ClassVar[str] = "found"

    def _document(self) -> Mapping[str, Any]:
        return self.document


def study_run(
    config: JobConfig,
    *,
    executor: Executor | None = None,
    workspace: str | PathLike[str] | None = None,
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
    from probe.studies.writer import study_document

    workspace = Workspace(workspace)
    # What cannot be done is refused before there is a folder.
    study = studying.study_of(config, workspace)
    elsewhere = executor is not None and executor.ray not in (None, "local")
    with (
        collected(),
        at_work(workspace, config, takes_turn=not elsewhere, told=told) as (job, reporter, stop),
    ):
        found = studying.make(study, workspace, job, reporter, stop, executor, watch)
        return StudyResult(found, study_document(job, found), job.path)


def run_as_asked(
    request: StudyRequest | BenchReadingsRequest, config: JobConfig, **watchers: Any
) -> StudyResult:
    """Do a study in the workspace, and where the packs, that its request names; see `study_run`."""
    from probe.studies.executor import Executor

    workspace = Workspace(request.workspace)
    executor = Executor(request.at_once, request.ray, request.gpu_share)
    return study_run(config, executor=executor, workspace=workspace, **watchers)


def shared_by(request: StudyRequest) -> dict[str, Any]:
    """What all runs of a study share, its folder of data by its full path."""
    return shared_settings(
        data_dir=None if request.data_dir is None else place(request.data_dir),
        device=request.device,
        dtype=request.dtype,
        validation_examples=request.validation_examples,
        test_examples=request.test_examples,
    )


def shared_settings(**given: Any) -> dict[str, Any]:
    """The fields of `StudySettings` as a document."""
    from probe.studies.specs import StudySettings

    return asdict(StudySettings(**given))


@takes(SweepRequest)
def sweep_config(request: SweepRequest) -> JobConfig:
    """What a sweep asks; reads its grid, neither models nor tasks, and writes nothing.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.studies.grid import grid_of, grid_points, named_grids, read_grid
    from probe.studies.specs import require_names

    asked, workspace = request.grid, Workspace(request.workspace)
    grid = grid_of(asked, "grid") if isinstance(asked, Mapping) else read_grid(asked)
    grid = _changed(grid, request)
    require_names(grid.tasks)
    check_study(grid.models, grid.tasks, device=request.device, workspace=workspace)
    grid = _started(grid, workspace)
    grid_points(grid)  # what no run could be asked is refused now
    question = asked if isinstance(asked, str) and asked in named_grids() else None
    name = "-".join([question or "grid", *(Path(one).name for one in grid.tasks)])
    settings = dataclasses.asdict(grid) | {"shared": shared_by(request), "question": question}
    return new_config("sweep", name, json.loads(json.dumps(settings)))


@takes(SweepRequest)
def sweep(request: SweepRequest) -> StudyResult:
    """Train every combination of a grid, and say which are worth their cost.

    Raises:
        ProbeError: something cannot be read or done as it was asked for.
    """
    return run_as_asked(request, sweep_config(request))


def _changed(grid: Grid, request: SweepRequest) -> Grid:
    """The grid with what was asked for in its place, and full paths."""
    asked = {"length": request.length, "steps": request.steps, "seed": request.seeds}
    training, varied = (
        {key: value for key, value in table.items() if not asked.get(key)}
        for table in (grid.training, grid.grid)
    )
    models = [str(model) for model in request.model] or grid.models
    tasks = [str(task) for task in request.task] or grid.tasks
    return dataclasses.replace(
        grid,
        models=tuple(full_path(model, known=ALWAYS_NAMED) for model in models),
        tasks=tuple(full_path(task, known=task_names()) for task in tasks),
        seeds=request.seeds or grid.seeds,
        training=training | ({"steps": request.steps} if request.steps else {}),
        grid=varied | ({"length": list(request.length)} if request.length else {}),
    )


def _started(grid: Grid, workspace: Workspace) -> Grid:
    """The grid with the paths of prompts to start from."""
    training, varied = dict(grid.training), dict(grid.grid)
    if "init" in training:
        (training["init"],) = _settled([training["init"]], grid, workspace)
    if "init" in varied:
        varied["init"] = _settled(varied["init"], grid, workspace)
    return dataclasses.replace(grid, training=training, grid=varied)


def _settled(inits: Sequence[Any], grid: Grid, workspace: Workspace) -> list[Any]:
    """Texts as `settle_starts` has them; what is none is refused with the other values."""
    texts = [init for init in inits if isinstance(init, str)]
    known = dict(zip(texts, settle_starts(texts, grid.models, workspace), strict=True))
    return [known[init] if isinstance(init, str) else init for init in inits]
