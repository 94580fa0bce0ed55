"""Do prompts that say something else do the same? The waywardness study, from end to end."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.datasets import task_names
from probe.store import StudyConfig, Workspace, replace_file
from probe.verbs.training import full_path

if TYPE_CHECKING:
    import pandas as pd

    from probe.analysis.waywardness import Waywardness
    from probe.sweep import Kept, Keyed, Plan, Point, Progress, Shared, WaywardStudy, Where

SETS = ("definitions", "instructions", "web")


@dataclasses.dataclass(frozen=True)
class WaywardAsked:
    """A study that could be started: its runs and their keys."""

    study: WaywardStudy
    shared: Shared
    points: tuple[Point, ...]
    runs: tuple[Keyed, ...]
    config: StudyConfig


@dataclasses.dataclass(frozen=True, eq=False)
class WaywardResult:
    """A finished study and where it lies."""

    found: Waywardness
    document: Mapping[str, Any]
    """What `probe wayward --json` prints."""
    folder: Path

    def to_json(self) -> Mapping[str, Any]:
        """The document `probe wayward --json` prints."""
        return self.document

    def to_frame(self) -> pd.DataFrame:
        """The main table."""
        return self.found.to_frame()


def wayward_asked(
    models: Sequence[str | Path],
    tasks: Sequence[str | Path],
    targets: Sequence[str | Path] = SETS,
    *,
    target_count: int | None = None,
    gammas: Sequence[float] | None = None,
    seeds: int = 2,
    inits: Sequence[str] = ("vocab", "target"),
    training: dict[str, Any] | None = None,
    data_dir: str | Path | None = None,
    validation_examples: int = 200,
    test_examples: int = 500,
    device: str | None = None,
    dtype: str | None = None,
    command: Sequence[str] = (),
) -> WaywardAsked:
    """A study that could be started, its models, tasks and targets read; writes nothing.

    Args:
        models: `builtin`, `minilm`, folders or hub ids.
        tasks: names, files or folders of classification tasks.
        targets: shipped sets (instructions, web, definitions) and files of texts.
        target_count: at most so many targets of each kind, from short to long; all when None.
        gammas: weights of the distance to the target; 0 is always among them.
        seeds: runs that differ in nothing but the seed.
        inits: where prompts start: `target`, or as `TrainConfig.init`.
        training: further fields of `TrainConfig`: steps, batch_size, learning_rate, objective.
        data_dir: a folder of data sets, by task.
        validation_examples: at most so many choose γ.
        test_examples: at most so many score the choice.
        device: as torch names it.
        dtype: `float32`, `bfloat16` or `float16`.
        command: the command line that asks for it, kept with the study.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.sweep import GAMMAS, Shared, WaywardStudy, keyed, points, read_targets

    study = WaywardStudy(
        tuple(full_path(str(model), known=("builtin", "minilm")) for model in models),
        tuple(full_path(str(task), known=task_names()) for task in tasks),
        tuple(target for source in targets for target in read_targets(source)),
        target_count=target_count,
        gammas=tuple(sorted({0.0, *(GAMMAS if gammas is None else gammas)})),
        seeds=seeds,
        inits=tuple(inits),
        training={"steps": 300} | (training or {}),
    )
    shared = Shared(
        None if data_dir is None else os.path.abspath(Path(data_dir).expanduser()),
        *(device, dtype, validation_examples, test_examples),
    )
    own = points(study)
    settings = dataclasses.asdict(study) | {"shared": dataclasses.asdict(shared)}
    config = StudyConfig(
        kind="wayward",
        name="-".join(Path(name).name for name in (*study.models, *study.tasks)),
        settings=json.loads(json.dumps(settings)),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(command),
    )
    runs = keyed([point.asked for point in own], shared)
    return WaywardAsked(study, shared, tuple(own), tuple(runs), config)


def wayward_plan(
    asked: WaywardAsked, *, at_once: int = 8, workspace: Workspace | None = None
) -> Plan:
    """What a study would do, and how long it would take: two steps, measured."""
    from probe.sweep import rehearse

    return rehearse(asked.runs, asked.shared, _kept(workspace or Workspace()), at_once=at_once)


def wayward_run(
    asked: WaywardAsked,
    *,
    where: Where | None = None,
    at_once: int = 8,
    workspace: Workspace | None = None,
    watch: Callable[[Progress], None] = lambda _: None,
) -> WaywardResult:
    """Do a study; what was trained before, by this or another study, is not trained again.

    The folder is kept up to date after every pack, so that others can watch.

    Raises:
        ProbeError: a run cannot be done, or another process works at the same study.
    """
    from probe.analysis.waywardness import waywardness
    from probe.charts import figures_html, waywardness_figures
    from probe.sweep import Book, at_work, both, run_of, sweep

    workspace = workspace or Workspace()
    kept = _kept(workspace)
    with at_work(workspace, asked.config) as (study, reporter):
        book = Book(asked.points, asked.runs, kept, study, row=run_of, judge=waywardness)
        watchers = both(reporter.watch, book.watch, watch)
        sweep(asked.runs, asked.shared, kept, where=where, at_once=at_once, watch=watchers)
        reporter.doing("writing")
        found = book.write()
        page = figures_html(f"Waywardness: {asked.config.name}", waywardness_figures(found))
        replace_file(study.figures, page.encode())
    return WaywardResult(found, book.document(found), study.path)


def _kept(workspace: Workspace) -> Kept:
    from probe.sweep import Kept

    return Kept(workspace.cache / "studies")


def wayward(
    models: Sequence[str | Path],
    tasks: Sequence[str | Path],
    targets: Sequence[str | Path] = SETS,
    *,
    target_count: int | None = None,
    gammas: Sequence[float] | None = None,
    seeds: int = 2,
    inits: Sequence[str] = ("vocab", "target"),
    training: dict[str, Any] | None = None,
    data_dir: str | Path | None = None,
    validation_examples: int = 200,
    test_examples: int = 500,
    device: str | None = None,
    dtype: str | None = None,
    ray: str | None = None,
    workspace: Workspace | None = None,
) -> WaywardResult:
    """Hold prompts near to texts, and say what that costs and what they then decode to.

    Args:
        models: `builtin`, `minilm`, folders or hub ids.
        tasks: names, files or folders of classification tasks.
        targets: shipped sets and files of texts.
        target_count: at most so many targets of each kind.
        gammas: weights of the distance to the target.
        seeds: runs that differ in nothing but the seed.
        inits: where prompts start.
        training: further fields of `TrainConfig`.
        data_dir: a folder of data sets, by task.
        validation_examples: at most so many choose γ.
        test_examples: at most so many score the choice.
        device: as torch names it.
        dtype: precision of the frozen model.
        ray: `local`, `auto` or HOST:PORT trains on a Ray cluster; in this process when None.
        workspace: where results are kept; the default one when None.

    Raises:
        ProbeError: something cannot be read or done as it was asked for.
    """
    from probe.sweep import Where

    asked = wayward_asked(
        models, tasks, targets, target_count=target_count, gammas=gammas, seeds=seeds, inits=inits,
        training=training, data_dir=data_dir, validation_examples=validation_examples,
        test_examples=test_examples, device=device, dtype=dtype,
    )  # fmt: skip
    return wayward_run(asked, where=Where(ray=ray), workspace=workspace)
