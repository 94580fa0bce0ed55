"""Many trainings: kept by content, packed K at once, in this process or on a Ray cluster.

    runs = keyed([RunSpec("builtin", "mood", config) for config in configs], StudySettings())
    cache = ResultCache(workspace.cache / "studies")
    sweep(runs, StudySettings(), cache, executor=Executor(ray="auto"), watch=print)
    prompts = [cache.get(run.key) for run in runs]    # each with its scores as `metrics`

A run's key is made of its configuration, its examples, the model's weights and the version, so a
finished run is never made again, by whichever study asks. Every run is finished when its prompt is
there, one file, written at once. `work` is the function that trains a pack, wherever that is.

A `Study` says what its runs are and what they come to; `wayward_study` and `sweep_study` make one
of what was asked. `probe.jobs` does studies in processes that others can watch. The names below are
imported when first used: most need torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.studies.cache import ResultCache
    from probe.studies.executor import AT_ONCE, Executor, Progress, sweep
    from probe.studies.grid import (
        Grid,
        GridPoint,
        grid_of,
        grid_points,
        grid_run_of,
        named_grids,
        read_grid,
        sweep_study,
    )
    from probe.studies.known import (
        STARTS,
        Condition,
        KnownStudy,
        known_points,
        known_settings,
        known_study,
    )
    from probe.studies.packs import PackStep, work
    from probe.studies.sources import keyed
    from probe.studies.specs import (
        KeyedRun,
        Pack,
        RunSpec,
        Study,
        StudySettings,
        StudySummary,
        packs_of,
        require_names,
    )
    from probe.studies.targets import Target, read_targets, target_sets
    from probe.studies.wayward import (
        Point,
        WaywardStudy,
        points,
        run_of,
        settings_of,
        study_of,
        wayward_study,
    )
    from probe.studies.writer import StudyWriter, study_document

_HOMES = {
    "cache": ("ResultCache",),
    "executor": (
        "AT_ONCE",
        "Executor",
        "Progress",
        "sweep",
    ),
    "grid": (
        "Grid",
        "GridPoint",
        "grid_of",
        "grid_points",
        "grid_run_of",
        "named_grids",
        "read_grid",
        "sweep_study",
    ),
    "known": (
        "STARTS",
        "Condition",
        "KnownStudy",
        "known_points",
        "known_settings",
        "known_study",
    ),
    "packs": (
        "PackStep",
        "work",
    ),
    "sources": ("keyed",),
    "specs": (
        "KeyedRun",
        "Pack",
        "RunSpec",
        "Study",
        "StudySettings",
        "StudySummary",
        "packs_of",
        "require_names",
    ),
    "targets": (
        "Target",
        "read_targets",
        "target_sets",
    ),
    "wayward": (
        "Point",
        "WaywardStudy",
        "points",
        "run_of",
        "settings_of",
        "study_of",
        "wayward_study",
    ),
    "writer": (
        "StudyWriter",
        "study_document",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AT_ONCE",
    "STARTS",
    "Condition",
    "Executor",
    "Grid",
    "GridPoint",
    "KeyedRun",
    "KnownStudy",
    "Pack",
    "PackStep",
    "Point",
    "Progress",
    "ResultCache",
    "RunSpec",
    "Study",
    "StudySettings",
    "StudySummary",
    "StudyWriter",
    "Target",
    "WaywardStudy",
    "grid_of",
    "grid_points",
    "grid_run_of",
    "keyed",
    "known_points",
    "known_settings",
    "known_study",
    "named_grids",
    "packs_of",
    "points",
    "read_grid",
    "read_targets",
    "require_names",
    "run_of",
    "settings_of",
    "study_document",
    "study_of",
    "sweep",
    "sweep_study",
    "target_sets",
    "wayward_study",
    "work",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"probe.studies.{_HOME[name]}"), name)
    raise AttributeError(f"module 'probe.studies' has no attribute {name!r}")
