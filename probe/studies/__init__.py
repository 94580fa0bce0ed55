"""Many trainings: kept by content, packed K at once, in this process or on a Ray cluster.

    runs = keyed([RunSpec("builtin", "mood", config) for config in configs], StudySettings())
    kept = ResultCache(workspace.cache / "studies")
    sweep(runs, StudySettings(), kept, where=Executor(ray="auto"), watch=print)
    prompts = [kept.get(run.key) for run in runs]     # each with its scores as `metrics`

A run's key is made of its configuration, its examples, the model's weights and the version, so a
finished run is never made again, by whichever study asks. Every run is finished when its prompt is
there, one file, written at once. `work` is the function that trains a pack, wherever that is.

`points` are the runs of a waywardness study; `at_work` is a study's folder while it
is worked at; `start_study` has that done by a process of its own. The names below are imported when
first used: most need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.studies.cache import ResultCache
    from probe.studies.detached import (
        StudyView,
        cancel_study,
        start_study,
        study_view,
        study_views,
    )
    from probe.studies.executor import AT_ONCE, Executor, Progress, sweep
    from probe.studies.grid import (
        Grid,
        GridPoint,
        grid_of,
        grid_points,
        grid_run_of,
        named_grids,
        read_grid,
    )
    from probe.studies.packs import PackStep, work
    from probe.studies.plan import Plan, dry_run
    from probe.studies.sources import keyed
    from probe.studies.specs import KeyedRun, Pack, RunSpec, StudySettings, packs_of, require_names
    from probe.studies.study import at_work, both, seen_state
    from probe.studies.targets import Target, read_targets, target_sets
    from probe.studies.wayward import (
        GAMMAS,
        Point,
        WaywardStudy,
        points,
        run_of,
        settings_of,
        study_of,
    )
    from probe.studies.writer import StudySummary, StudyWriter

_HOMES = {
    "specs": ("RunSpec", "KeyedRun", "Pack", "StudySettings", "packs_of", "require_names"),
    "writer": ("StudyWriter", "StudySummary"),
    "detached": ("StudyView", "cancel_study", "start_study", "study_view", "study_views"),
    "executor": ("AT_ONCE", "Progress", "Executor", "sweep"),
    "grid": (
        "Grid",
        "GridPoint",
        "grid_of",
        "grid_points",
        "grid_run_of",
        "named_grids",
        "read_grid",
    ),
    "cache": ("ResultCache",),
    "packs": ("PackStep", "work"),
    "plan": ("Plan", "dry_run"),
    "sources": ("keyed",),
    "study": ("at_work", "both", "seen_state"),
    "targets": ("Target", "read_targets", "target_sets"),
    "wayward": ("GAMMAS", "Point", "WaywardStudy", "points", "run_of", "settings_of", "study_of"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AT_ONCE",
    "GAMMAS",
    "RunSpec",
    "StudyWriter",
    "StudySummary",
    "Grid",
    "GridPoint",
    "ResultCache",
    "KeyedRun",
    "Pack",
    "PackStep",
    "Plan",
    "Point",
    "Progress",
    "StudySettings",
    "StudyView",
    "Target",
    "WaywardStudy",
    "Executor",
    "at_work",
    "both",
    "cancel_study",
    "grid_of",
    "grid_points",
    "grid_run_of",
    "keyed",
    "named_grids",
    "packs_of",
    "points",
    "read_grid",
    "read_targets",
    "dry_run",
    "require_names",
    "run_of",
    "seen_state",
    "settings_of",
    "start_study",
    "study_of",
    "study_view",
    "study_views",
    "sweep",
    "target_sets",
    "work",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"probe.studies.{_HOME[name]}"), name)
    raise AttributeError(f"module 'probe.studies' has no attribute {name!r}")
