"""Grids of training runs, and the two questions that have a name: length and size."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.datasets import task_names
from probe.prompt import AnyPrompt
from probe.store import StudyConfig, Workspace
from probe.tables import ALWAYS_NAMED
from probe.verbs.checks import check_study
from probe.verbs.naming import option_names
from probe.verbs.studies import StudyAsked, StudyResult, shared_by, study_run
from probe.verbs.training import full_path, start_with_full_path

if TYPE_CHECKING:
    from probe.analysis.grids import GridResult, GridRun
    from probe.studies import Grid, GridPoint


@dataclasses.dataclass(frozen=True)
class SweepAsked(StudyAsked["GridPoint", "GridRun", "GridResult"]):
    """A sweep that could be started."""

    grid: Grid
    question: str | None
    """length or size."""

    def row(self, point: GridPoint, prompt: AnyPrompt, file: str) -> GridRun:
        """What is kept of a finished run."""
        from probe.studies import grid_run_of

        return grid_run_of(point, prompt, file)

    def judge(self, rows: Sequence[GridRun]) -> GridResult:
        """The settings, and the answer to the question."""
        from probe.analysis.grids import grid_result

        return grid_result(rows, question=self.question)

    def page(self, found: GridResult) -> str:
        """The figures as one page that opens anywhere."""
        from probe.charts import figures_html, sweep_figures

        return figures_html(f"Sweep: {self.config.name}", sweep_figures(found))


def sweep_asked(
    grid: str | Path | Mapping[str, Any],
    *,
    models: Sequence[str | Path] = (),
    tasks: Sequence[str | Path] = (),
    lengths: Sequence[int] = (),
    seeds: int | None = None,
    steps: int | None = None,
    data_dir: str | Path | None = None,
    validation_examples: int = 200,
    test_examples: int = 500,
    device: str | None = None,
    dtype: str | None = None,
    command: Sequence[str] = (),
    workspace: Workspace | None = None,
) -> SweepAsked:
    """A sweep that could be started, its models and tasks read; writes nothing.

    Args:
        grid: `length`, `size`, a TOML file, or what such a file holds.
        models: in place of the grid's.
        tasks: in place of the grid's.
        lengths: in place of the grid's.
        seeds: in place of the grid's.
        steps: in place of the grid's.
        data_dir: a folder of data sets, by task.
        validation_examples: at most so many score a prompt on validation data.
        test_examples: at most so many score it on test data.
        device: as torch names it.
        dtype: `float32`, `bfloat16` or `float16`.
        command: the command line that asks for it, kept with the sweep.
        workspace: where prompts to start from are looked up; the default one when None.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.studies import grid_of, grid_points, named_grids, read_grid, require_names

    wanted = grid_of(grid, "grid") if isinstance(grid, Mapping) else read_grid(grid)
    wanted = _started(_changed(wanted, models, tasks, lengths, seeds, steps), workspace)
    shared = shared_by(data_dir, device, dtype, validation_examples, test_examples)
    require_names(wanted.tasks)
    check_study(wanted.models, wanted.tasks, device=device, workspace=workspace)
    own = grid_points(wanted)
    question = str(grid) if grid in named_grids() else None
    settings = dataclasses.asdict(wanted) | {"shared": dataclasses.asdict(shared)}
    config = StudyConfig(
        kind="sweep",
        name="-".join([question or "grid", *(Path(one).name for one in wanted.tasks)]),
        settings=json.loads(json.dumps(settings | {"question": question})),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(command),
    )
    from probe.studies import keyed

    runs = keyed([point.asked for point in own], shared)
    return SweepAsked(shared, tuple(own), tuple(runs), config, wanted, question)


@option_names(model="models", task="tasks", length="lengths")
def sweep(
    grid: str | Path | Mapping[str, Any],
    *,
    models: Sequence[str | Path] = (),
    tasks: Sequence[str | Path] = (),
    lengths: Sequence[int] = (),
    seeds: int | None = None,
    steps: int | None = None,
    data_dir: str | Path | None = None,
    validation_examples: int = 200,
    test_examples: int = 500,
    device: str | None = None,
    dtype: str | None = None,
    at_once: int = 8,
    ray: str | None = None,
    gpu_share: float = 0.0,
    workspace: Workspace | None = None,
) -> StudyResult[GridResult]:
    """Train every combination of a grid, and say which are worth their cost.

    Args:
        grid: `length`, `size`, a TOML file, or what such a file holds.
        models: in place of the grid's.
        tasks: in place of the grid's.
        lengths: in place of the grid's.
        seeds: in place of the grid's.
        steps: in place of the grid's.
        data_dir: a folder of data sets, by task.
        validation_examples: at most so many score a prompt on validation data.
        test_examples: at most so many score it on test data.
        device: as torch names it.
        dtype: precision of the frozen model.
        at_once: at most so many prompts are trained in one pass.
        ray: `local`, `auto` or HOST:PORT trains on a Ray cluster; in this process when None.
        gpu_share: share of a GPU that each pass takes on Ray.
        workspace: where results are kept; the default one when None.

    Raises:
        ProbeError: something cannot be read or done as it was asked for.
    """
    from probe.studies import Executor

    asked = sweep_asked(
        grid,
        models=models,
        tasks=tasks,
        lengths=lengths,
        seeds=seeds,
        steps=steps,
        data_dir=data_dir,
        validation_examples=validation_examples,
        test_examples=test_examples,
        device=device,
        dtype=dtype,
        workspace=workspace,
    )
    where = Executor(ray=ray, gpu_share=gpu_share)
    return study_run(asked, where=where, at_once=at_once, workspace=workspace)


def _changed(
    grid: Grid,
    models: Sequence[str | Path],
    tasks: Sequence[str | Path],
    lengths: Sequence[int],
    seeds: int | None,
    steps: int | None,
) -> Grid:
    """The grid with what was asked for in its place, and full paths."""
    asked = {"length": lengths, "steps": steps, "seed": seeds}
    kept = [
        {key: value for key, value in table.items() if not asked.get(key)}
        for table in (grid.training, grid.grid)
    ]
    named = [str(model) for model in models] or grid.models
    about = [str(task) for task in tasks] or grid.tasks
    return dataclasses.replace(
        grid,
        models=tuple(full_path(model, known=ALWAYS_NAMED) for model in named),
        tasks=tuple(full_path(task, known=task_names()) for task in about),
        seeds=seeds or grid.seeds,
        training=kept[0] | ({"steps": steps} if steps else {}),
        grid=kept[1] | ({"length": list(lengths)} if lengths else {}),
    )


def _started(grid: Grid, workspace: Workspace | None) -> Grid:
    """The grid with the paths of prompts to start from."""
    place = workspace or Workspace()

    def path(init: Any) -> Any:
        return start_with_full_path(init, place) if isinstance(init, str) else init

    training, varied = dict(grid.training), dict(grid.grid)
    if "init" in training:
        training["init"] = path(training["init"])
    if "init" in varied:
        varied["init"] = [path(init) for init in varied["init"]]
    return dataclasses.replace(grid, training=training, grid=varied)
