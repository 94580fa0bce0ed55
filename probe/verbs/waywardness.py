"""Do prompts that say something else do the same? The waywardness study, from end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.datasets import task_names
from probe.errors import DataError
from probe.prompt import AnyPrompt
from probe.store import StudyConfig, StudyFolder, Workspace
from probe.tables import ALWAYS_NAMED, default_model
from probe.training.config import Objective
from probe.verbs.checks import check_study
from probe.verbs.naming import option_names
from probe.verbs.studies import StudyAsked, StudyResult, shared_by, study_run, work_at
from probe.verbs.training import full_path, start_with_full_path

if TYPE_CHECKING:
    from probe.analysis.waywardness import Waywardness, WaywardRun
    from probe.studies import Point, WaywardStudy

SETS = ("definitions", "instructions", "web")


@dataclass(frozen=True)
class WaywardAsked(StudyAsked["Point", "WaywardRun", "Waywardness"]):
    """A waywardness study that could be started."""

    study: WaywardStudy

    def row(self, point: Point, prompt: AnyPrompt, file: str) -> WaywardRun:
        """What is kept of a finished run."""
        from probe.studies import run_of

        return run_of(point, prompt, file)

    def judge(self, rows: Sequence[WaywardRun]) -> Waywardness:
        """The main table and the figures' numbers."""
        from probe.analysis.waywardness import waywardness

        return waywardness(rows)

    def page(self, found: Waywardness) -> str:
        """Answer, main table and figures as one page that opens anywhere."""
        from probe.verbs.wayward_report import wayward_html

        return wayward_html(found, name=self.config.name)


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
    workspace: Workspace | None = None,
) -> StudyConfig:
    """What a study asks; reads its targets, neither models nor tasks, and writes nothing.

    Args:
        models: `builtin`, `minilm`, folders or hub ids.
        tasks: names, files or folders of classification tasks.
        targets: shipped sets (instructions, web, definitions), text:WORDS, and files of texts.
        target_count: at most so many targets of each kind, from short to long; all when None, and
            of those given as text:WORDS.
        gammas: weights of the distance to the target; 0 is always among them, and never alone.
        seeds: runs that differ in nothing but the seed.
        inits: where prompts start: `target`, or as `TrainConfig.init`.
        training: further fields of `TrainConfig`: steps, batch_size, learning_rate, objective.
        data_dir: a folder of data sets, by task.
        validation_examples: at most so many choose γ.
        test_examples: at most so many score the choice.
        device: as torch names it.
        dtype: `float32`, `bfloat16` or `float16`.
        command: the command line that asks for it, kept with the study.
        workspace: where prompts to start from are looked up; the default one when None.

    Raises:
        ProbeError: the targets cannot be read, or there is no γ above 0.
    """
    from probe.studies import GAMMAS, WaywardStudy, read_targets, settings_of

    study = WaywardStudy(
        tuple(full_path(str(model), known=ALWAYS_NAMED) for model in models),
        tuple(full_path(str(task), known=task_names()) for task in tasks),
        tuple(target for source in targets for target in read_targets(source)),
        target_count=target_count,
        gammas=tuple(sorted({0.0, *(GAMMAS if gammas is None else gammas)})),
        seeds=seeds,
        inits=tuple(start_with_full_path(init, workspace or Workspace()) for init in inits),
        training={"steps": 300} | (training or {}),
    )
    check_study(study.models, study.tasks, device=device, workspace=workspace)
    shared = shared_by(data_dir, device, dtype, validation_examples, test_examples)
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
    from probe.studies import keyed, points, study_of

    study, shared = study_of(config.settings)
    own = points(study)
    runs = keyed([point.asked for point in own], shared)
    return WaywardAsked(shared, tuple(own), tuple(runs), config, study)


def wayward_again(study: StudyFolder, *, workspace: Workspace) -> StudyResult[Waywardness]:
    """Do the study of a folder, as it was asked for.

    Raises:
        ProbeError: a run cannot be done, or another process works at the same study.
    """
    from probe.studies import AT_ONCE, at_work

    with at_work(workspace, study.config) as (place, reporter):
        asked = wayward_asked(study.config)
        watchers = (reporter.watch,)
        return work_at(asked, place, watchers, at_once=AT_ONCE, workspace=workspace)


@option_names(model="models", task="tasks", gamma="gammas", init="inits")
def wayward(
    models: Sequence[str | Path] = (),
    tasks: Sequence[str | Path] = (),
    targets: Sequence[str | Path] = SETS,
    *,
    target_count: int | None = None,
    gammas: Sequence[float] | None = None,
    seeds: int = 2,
    inits: Sequence[str] = ("vocab", "target"),
    steps: int = 300,
    batch_size: int = 16,
    lr: float | None = None,
    objective: Objective = "full",
    training: dict[str, Any] | None = None,
    data_dir: str | Path | None = None,
    validation_examples: int = 200,
    test_examples: int = 500,
    device: str | None = None,
    dtype: str | None = None,
    at_once: int = 8,
    ray: str | None = None,
    gpu_share: float = 0.0,
    workspace: Workspace | None = None,
) -> StudyResult[Waywardness]:
    """Hold prompts near to texts, and say what that costs and what they then decode to.

    Args:
        models: `builtin`, `minilm`, folders or hub ids; what the command takes when empty.
        tasks: names, files or folders of classification tasks.
        targets: shipped sets and files of texts.
        target_count: at most so many targets of each kind.
        gammas: weights of the distance to the target.
        seeds: runs that differ in nothing but the seed.
        inits: where prompts start.
        steps: updates of every prompt.
        batch_size: examples per update.
        lr: highest rate; the spread of the embedding table when None.
        objective: what the loss is over.
        training: further fields of `TrainConfig`.
        data_dir: a folder of data sets, by task.
        validation_examples: at most so many choose γ.
        test_examples: at most so many score the choice.
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

    if not tasks:
        raise DataError("name a task, such as task='mood'")
    asked = {"steps": steps, "batch_size": batch_size, "objective": objective}
    training = asked | ({} if lr is None else {"learning_rate": lr}) | (training or {})
    config = wayward_config(
        models or [default_model()], tasks, targets, target_count=target_count, gammas=gammas,
        seeds=seeds, inits=inits,
        training=training, data_dir=data_dir, validation_examples=validation_examples,
        test_examples=test_examples, device=device, dtype=dtype, workspace=workspace,
    )  # fmt: skip
    where = Executor(ray=ray, gpu_share=gpu_share)
    return study_run(wayward_asked(config), where=where, at_once=at_once, workspace=workspace)
