"""Do prompts that say something else do the same? The waywardness study, from end to end."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.datasets import task_names
from probe.store import StudyConfig, StudyFolder, Workspace, replace_file
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


def wayward_config(
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
) -> StudyConfig:
    """What a study asks; reads its targets, neither models nor tasks, and writes nothing.

    Args:
        models: `builtin`, `minilm`, folders or hub ids.
        tasks: names, files or folders of classification tasks.
        targets: shipped sets (instructions, web, definitions), text:WORDS, and files of texts.
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
        ProbeError: the targets cannot be read.
    """
    from probe.sweep import GAMMAS, Shared, WaywardStudy, read_targets, settings_of

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
    return StudyConfig(
        kind="wayward",
        name="-".join(Path(name).name for name in (*study.models, *study.tasks)),
        settings=settings_of(study, shared),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(command),
    )


def wayward_asked(config: StudyConfig) -> WaywardAsked:
    """The runs of a study, its models and tasks read; writes nothing.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.sweep import keyed, points, study_of

    study, shared = study_of(config.settings)
    own = points(study)
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
    from probe.sweep import at_work

    workspace = workspace or Workspace()
    with at_work(workspace, asked.config) as (study, reporter):
        watchers = (reporter.watch, watch)
        return _done(asked, study, _kept(workspace), watchers, where=where, at_once=at_once)


def wayward_again(study: StudyFolder, *, workspace: Workspace) -> WaywardResult:
    """Do the study of a folder, as it was asked for.

    Raises:
        ProbeError: a run cannot be done, or another process works at the same study.
    """
    from probe.sweep import AT_ONCE, at_work

    with at_work(workspace, study.config) as (place, reporter):
        asked = wayward_asked(study.config)
        return _done(asked, place, _kept(workspace), (reporter.watch,), at_once=AT_ONCE)


def _done(
    asked: WaywardAsked,
    study: StudyFolder,
    kept: Kept,
    watchers: Sequence[Callable[[Progress], None]],
    *,
    at_once: int,
    where: Where | None = None,
) -> WaywardResult:
    from probe.analysis.waywardness import waywardness
    from probe.sweep import Book, both, run_of, sweep
    from probe.verbs.wayward_report import wayward_html

    book = Book(asked.points, asked.runs, kept, study, row=run_of, judge=waywardness)
    watch = both(book.watch, *watchers)
    sweep(asked.runs, asked.shared, kept, where=where, at_once=at_once, watch=watch)
    found = book.write()
    page = wayward_html(found, name=asked.config.name)
    replace_file(study.figures, page.encode("utf-8", "backslashreplace"))
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

    config = wayward_config(
        models, tasks, targets, target_count=target_count, gammas=gammas, seeds=seeds, inits=inits,
        training=training, data_dir=data_dir, validation_examples=validation_examples,
        test_examples=test_examples, device=device, dtype=dtype,
    )  # fmt: skip
    return wayward_run(wayward_asked(config), where=Where(ray=ray), workspace=workspace)
