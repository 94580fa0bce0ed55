"""Do prompts that say something else do the same? The waywardness study, from end to end."""

from __future__ import annotations

from pathlib import Path

from probe.datasets import task_names
from probe.errors import DataError
from probe.requests import WaywardRequest, takes
from probe.store import JobConfig, Workspace
from probe.tables import ALWAYS_NAMED, default_model
from probe.verbs.checks import check_study
from probe.verbs.studies import StudyResult, executor_of, shared_by, study_run
from probe.verbs.training import full_path, new_config, settle_starts


@takes(WaywardRequest)
def wayward_config(request: WaywardRequest) -> JobConfig:
    """What a study asks; reads its targets, neither models nor tasks, and writes nothing.

    Raises:
        ProbeError: the targets cannot be read, or there is no γ above 0.
    """
    from probe.studies import WaywardStudy, read_targets, settings_of

    if not request.task:
        raise DataError("name a task, such as task='mood'")
    workspace = Workspace(request.workspace)
    rate = {} if request.lr is None else {"learning_rate": request.lr}
    asked = {
        "steps": request.steps,
        "batch_size": request.batch_size,
        "objective": request.objective,
    }
    models = tuple(full_path(str(one), known=ALWAYS_NAMED) for one in request.model or _usual())
    tasks = tuple(full_path(str(task), known=task_names()) for task in request.task)
    check_study(models, tasks, device=request.device, workspace=workspace)
    study = WaywardStudy(
        models,
        tasks,
        tuple(target for source in request.targets for target in read_targets(source)),
        target_count=request.target_count,
        gammas=tuple(sorted({0.0, *request.gamma})),
        seeds=request.seeds,
        inits=settle_starts(request.init, models, workspace),
        training={**asked, **rate, **request.training},
    )
    name = "-".join(Path(one).name for one in (*study.models, *study.tasks))
    return new_config("wayward", name, settings_of(study, shared_by(request)))


@takes(WaywardRequest)
def wayward(request: WaywardRequest) -> StudyResult:
    """Hold prompts near to texts, and say what that costs and what they then decode to.

    Raises:
        ProbeError: something cannot be read or done as it was asked for.
    """
    workspace, executor = Workspace(request.workspace), executor_of(request)
    return study_run(wayward_config(request), executor=executor, workspace=workspace)


def _usual() -> tuple[str, ...]:
    return (default_model(),)
