"""Many trainings: kept by content, packed K at once, in this process or on a Ray cluster.

    runs = keyed([Asked("builtin", "mood", config) for config in configs], Shared())
    kept = Kept(workspace.cache / "studies")
    sweep(runs, Shared(), kept, where=Where(ray="auto"), watch=print)
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
    from probe.studies.asked import Asked, Keyed, Pack, Shared, packs_of, require_names
    from probe.studies.book import Book, Found
    from probe.studies.detached import (
        StudyView,
        cancel_study,
        start_study,
        study_view,
        study_views,
    )
    from probe.studies.engine import AT_ONCE, Progress, Where, sweep
    from probe.studies.grid import (
        Grid,
        GridPoint,
        grid_of,
        grid_points,
        grid_run_of,
        named_grids,
        read_grid,
    )
    from probe.studies.kept import Kept
    from probe.studies.packs import PackStep, work
    from probe.studies.rehearsal import Plan, rehearse
    from probe.studies.sources import keyed
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

_HOMES = {
    "asked": ("Asked", "Keyed", "Pack", "Shared", "packs_of", "require_names"),
    "book": ("Book", "Found"),
    "detached": ("StudyView", "cancel_study", "start_study", "study_view", "study_views"),
    "engine": ("AT_ONCE", "Progress", "Where", "sweep"),
    "grid": (
        "Grid",
        "GridPoint",
        "grid_of",
        "grid_points",
        "grid_run_of",
        "named_grids",
        "read_grid",
    ),
    "kept": ("Kept",),
    "packs": ("PackStep", "work"),
    "rehearsal": ("Plan", "rehearse"),
    "sources": ("keyed",),
    "study": ("at_work", "both", "seen_state"),
    "targets": ("Target", "read_targets", "target_sets"),
    "wayward": ("GAMMAS", "Point", "WaywardStudy", "points", "run_of", "settings_of", "study_of"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AT_ONCE",
    "GAMMAS",
    "Asked",
    "Book",
    "Found",
    "Grid",
    "GridPoint",
    "Kept",
    "Keyed",
    "Pack",
    "PackStep",
    "Plan",
    "Point",
    "Progress",
    "Shared",
    "StudyView",
    "Target",
    "WaywardStudy",
    "Where",
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
    "rehearse",
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
