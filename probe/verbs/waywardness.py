"""Do prompts that say something else do the same? The study, what it has found, and its prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe import formats
from probe.datasets import task_names
from probe.errors import DataError, WorkspaceError
from probe.prompt import AnyPrompt
from probe.requests import WaywardRequest, takes
from probe.store import JobConfig, JobFolder, Workspace
from probe.store.card import workspace_name
from probe.tables import ALWAYS_NAMED, default_model
from probe.verbs.checks import check_study
from probe.verbs.studies import StudyResult, run_as_asked, shared_by
from probe.verbs.training import full_path, new_config, settle_starts

if TYPE_CHECKING:
    from probe.analysis.waywardness import Waywardness, WaywardRun


@takes(WaywardRequest)
def wayward_config(request: WaywardRequest) -> JobConfig:
    """What a study asks; reads its targets, neither models nor tasks, and writes nothing.

    Raises:
        ProbeError: the targets cannot be read, or there is no γ above 0.
    """
    from probe.studies.specs import settings_of
    from probe.studies.targets import read_targets
    from probe.studies.wayward import WaywardStudy

    if not request.task:
        raise DataError("name a task, such as task='mood'")
    workspace = Workspace(request.workspace)
    rate = {} if request.lr is None else {"learning_rate": request.lr}
    asked = {
        "steps": request.steps,
        "batch_size": request.batch_size,
        "objective": request.objective,
    }
    models = tuple(
        full_path(str(one), known=ALWAYS_NAMED) for one in request.model or (default_model(),)
    )
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
    """Constrain prompts to texts, and say what that costs and what they then decode to.

    Raises:
        ProbeError: something cannot be read or done as it was asked for.
    """
    return run_as_asked(request, wayward_config(request))


TAG = "wayward"


def count_wayward_runs(config: JobConfig) -> int:
    """How many runs a study has; reads its models' tokens and its tasks.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.studies.wayward import points, study_of

    study, _ = study_of(config.request)
    return len(points(study))


def wayward_found(study: JobFolder) -> Waywardness:
    """What the finished runs of a study come to; it may still be at work.

    Raises:
        WorkspaceError: its results cannot be read.
    """
    import pandas as pd

    from probe.analysis.waywardness import WaywardRun, waywardness

    if not study.results.is_file():
        return waywardness([])
    try:
        rows = pd.read_parquet(study.results).to_dict("records")
        return waywardness([WaywardRun(**_known_fields(row)) for row in rows])
    except (OSError, ValueError, TypeError) as error:
        raise WorkspaceError(
            f"{study.results} cannot be read ({str(error)[:120]}): delete it and resume the study"
        ) from error


def _known_fields(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    """A row of the results; what older studies and runs did not note is left to its default."""
    from probe.analysis.waywardness import WaywardRun

    optional = {field.name for field in dataclasses.fields(WaywardRun) if field.default is None}
    named = {str(name): value for name, value in row.items()}
    return {k: v for k, v in named.items() if not (k in optional and (v is None or v != v))}


def keep_wayward(study: JobFolder, run: WaywardRun, *, workspace: Workspace) -> str:
    """Put the prompt of a run into the library, once however often it is asked for.

    Returns:
        Its name there, `name@version`.

    Raises:
        PromptFormatError: its file is damaged.
        WorkspaceError: the workspace cannot be written.
    """
    (prompt,) = formats.load(study.prompts / Path(run.prompt).name)
    for id_, stored in workspace.prompts.loaded(workspace_name(prompt.name)):
        if _key(stored) == _key(prompt):
            return id_
    held = (
        f"constrained to “{run.target}” at γ = {run.gamma:g}"
        if run.gamma
        else "γ = 0, the baseline"
    )
    note = f"{held}; started at {run.init}, seed {run.seed}; study {study.id}"
    own = dataclasses.replace(prompt, config={**prompt.config, "study": study.id})
    return workspace.save(own, tags=[TAG], note=note).id


def _key(prompt: AnyPrompt) -> object:
    return prompt.config.get("run_key")
