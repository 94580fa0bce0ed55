"""Grids of training runs, and the two questions that have a name: length and size."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.datasets import task_names
from probe.requests import SweepRequest, takes
from probe.store import JobConfig, Workspace
from probe.tables import ALWAYS_NAMED
from probe.verbs.checks import check_study
from probe.verbs.studies import StudyResult, executor_of, shared_by, study_run
from probe.verbs.training import full_path, new_config, settle_starts

if TYPE_CHECKING:
    from probe.studies import Grid


@takes(SweepRequest)
def sweep_config(request: SweepRequest) -> JobConfig:
    """What a sweep asks; reads its grid, neither models nor tasks, and writes nothing.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.studies import grid_of, grid_points, named_grids, read_grid, require_names

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
    workspace, executor = Workspace(request.workspace), executor_of(request)
    return study_run(sweep_config(request), executor=executor, workspace=workspace)


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
