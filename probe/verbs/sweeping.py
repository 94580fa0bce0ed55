"""Grids of training runs, and the two questions that have a name: length and size."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.datasets import task_names
from probe.store import StudyConfig, Workspace, replace_file
from probe.verbs.training import full_path

if TYPE_CHECKING:
    import pandas as pd

    from probe.analysis.grids import GridResult
    from probe.sweep import Grid, GridPoint, Keyed, Plan, Progress, Shared, Where


@dataclasses.dataclass(frozen=True)
class SweepAsked:
    """A sweep that could be started: its runs and their keys."""

    grid: Grid
    question: str | None
    """length or size."""
    shared: Shared
    points: tuple[GridPoint, ...]
    runs: tuple[Keyed, ...]
    config: StudyConfig


@dataclasses.dataclass(frozen=True, eq=False)
class SweepResult:
    """A finished sweep and where it lies."""

    found: GridResult
    document: Mapping[str, Any]
    """What `probe sweep --json` prints."""
    folder: Path

    def to_json(self) -> Mapping[str, Any]:
        """The document `probe sweep --json` prints."""
        return self.document

    def to_frame(self) -> pd.DataFrame:
        """One row per setting."""
        return self.found.to_frame()


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

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.sweep import Shared, grid_of, grid_points, keyed, named_grids, read_grid

    wanted = grid_of(grid, "grid") if isinstance(grid, Mapping) else read_grid(grid)
    wanted = _changed(wanted, models, tasks, lengths, seeds, steps)
    shared = Shared(
        None if data_dir is None else os.path.abspath(Path(data_dir).expanduser()),
        *(device, dtype, validation_examples, test_examples),
    )
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
    runs = keyed([point.asked for point in own], shared)
    return SweepAsked(wanted, question, shared, tuple(own), tuple(runs), config)


def sweep_plan(asked: SweepAsked, *, at_once: int = 8, workspace: Workspace | None = None) -> Plan:
    """What a sweep would do, and how long it would take: two steps, measured."""
    from probe.sweep import Kept, rehearse

    kept = Kept((workspace or Workspace()).cache / "studies")
    return rehearse(asked.runs, asked.shared, kept, at_once=at_once)


def sweep_run(
    asked: SweepAsked,
    *,
    where: Where | None = None,
    at_once: int = 8,
    workspace: Workspace | None = None,
    watch: Callable[[Progress], None] = lambda _: None,
) -> SweepResult:
    """Do a sweep; what was trained before, by this or another study, is not trained again.

    Raises:
        ProbeError: a run cannot be done, or another process works at the same sweep.
    """
    from probe.analysis.grids import grid_result
    from probe.charts import figures_html, sweep_figures
    from probe.sweep import Book, Kept, at_work, both, grid_run_of, sweep

    workspace = workspace or Workspace()
    kept = Kept(workspace.cache / "studies")
    judge = partial(grid_result, question=asked.question)
    with at_work(workspace, asked.config) as (study, reporter):
        book = Book(asked.points, asked.runs, kept, study, row=grid_run_of, judge=judge)
        watchers = both(reporter.watch, book.watch, watch)
        sweep(asked.runs, asked.shared, kept, where=where, at_once=at_once, watch=watchers)
        reporter.doing("writing")
        found = book.write()
        page = figures_html(f"Sweep: {asked.config.name}", sweep_figures(found))
        replace_file(study.figures, page.encode())
    return SweepResult(found, book.document(found), study.path)


def sweep(
    grid: str | Path | Mapping[str, Any],
    *,
    models: Sequence[str | Path] = (),
    tasks: Sequence[str | Path] = (),
    lengths: Sequence[int] = (),
    seeds: int | None = None,
    steps: int | None = None,
    data_dir: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    ray: str | None = None,
    workspace: Workspace | None = None,
) -> SweepResult:
    """Train every combination of a grid, and say which are worth their cost.

    Args:
        grid: `length`, `size`, a TOML file, or what such a file holds.
        models: in place of the grid's.
        tasks: in place of the grid's.
        lengths: in place of the grid's.
        seeds: in place of the grid's.
        steps: in place of the grid's.
        data_dir: a folder of data sets, by task.
        device: as torch names it.
        dtype: precision of the frozen model.
        ray: `local`, `auto` or HOST:PORT trains on a Ray cluster; in this process when None.
        workspace: where results are kept; the default one when None.

    Raises:
        ProbeError: something cannot be read or done as it was asked for.
    """
    from probe.sweep import Where

    asked = sweep_asked(
        grid,
        models=models,
        tasks=tasks,
        lengths=lengths,
        seeds=seeds,
        steps=steps,
        data_dir=data_dir,
        device=device,
        dtype=dtype,
    )
    return sweep_run(asked, where=Where(ray=ray), workspace=workspace)


def _changed(
    grid: Grid,
    models: Sequence[str | Path],
    tasks: Sequence[str | Path],
    lengths: Sequence[int],
    seeds: int | None,
    steps: int | None,
) -> Grid:
    """The grid with what was asked for in its place, and full paths."""
    named = [str(model) for model in models] or grid.models
    about = [str(task) for task in tasks] or grid.tasks
    return dataclasses.replace(
        grid,
        models=tuple(full_path(model, known=("builtin", "minilm")) for model in named),
        tasks=tuple(full_path(task, known=task_names()) for task in about),
        seeds=seeds or grid.seeds,
        training=dict(grid.training) | ({"steps": steps} if steps else {}),
        grid=dict(grid.grid) | ({"length": list(lengths)} if lengths else {}),
    )
