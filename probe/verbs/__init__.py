"""The Python interface: what one asks of `probe`, with the same names as on the command line."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probe.store import sample_folders
from probe.tables import load_vocabulary
from probe.verbs.ablating import Ablated, ablate
from probe.verbs.benching import bench_readings, bench_readings_config, bench_run
from probe.verbs.comparing import clusters, compare, map
from probe.verbs.cramming import Crammed, cram
from probe.verbs.decoding import decode
from probe.verbs.distilling import Distilled, distill, distill_command, distill_config
from probe.verbs.doctor import Check, Health, doctor
from probe.verbs.drifting import drift, trajectory
from probe.verbs.evaluating import Evaluated, evaluate
from probe.verbs.finding import Found, Match, find
from probe.verbs.knocking_out import KnockedOut, knock_out
from probe.verbs.lens import LensReading, lens
from probe.verbs.library import add_to_library, library, library_row, prompt_log
from probe.verbs.loading import convert, describe, inspect, load
from probe.verbs.predicting import Continuations, Predictions, generate, predict
from probe.verbs.pruning import Pruned, prune
from probe.verbs.publishing import Pushed, pull, push, push_plan
from probe.verbs.reading import ReadPrompt, read
from probe.verbs.recording import Recorded, stored_on
from probe.verbs.studies import (
    StudyResult,
    dry_run,
    executor_of,
    run_as_asked,
    study_plan,
    study_run,
    sweep,
    sweep_config,
)
from probe.verbs.training import (
    cancel_run,
    delete_run,
    rename_run,
    resume_run,
    run_config,
    runs,
    show_run,
    train,
    train_command,
)
from probe.verbs.transferring import transfer
from probe.verbs.waywardness import wayward, wayward_config

if TYPE_CHECKING:
    from probe.verbs.reporting import Written, report

__all__ = [
    "Ablated",
    "Check",
    "Continuations",
    "Crammed",
    "Distilled",
    "Evaluated",
    "Found",
    "Health",
    "KnockedOut",
    "LensReading",
    "Match",
    "Predictions",
    "Pruned",
    "Pushed",
    "ReadPrompt",
    "Recorded",
    "StudyResult",
    "Written",
    "ablate",
    "add_to_library",
    "bench_readings",
    "bench_readings_config",
    "bench_run",
    "cancel_run",
    "clusters",
    "compare",
    "convert",
    "cram",
    "decode",
    "delete_run",
    "describe",
    "distill",
    "distill_command",
    "distill_config",
    "doctor",
    "drift",
    "dry_run",
    "evaluate",
    "executor_of",
    "find",
    "generate",
    "inspect",
    "knock_out",
    "lens",
    "library",
    "library_row",
    "load",
    "load_vocabulary",
    "map",
    "predict",
    "prune",
    "pull",
    "push",
    "push_plan",
    "prompt_log",
    "read",
    "rename_run",
    "resume_run",
    "run_as_asked",
    "run_config",
    "runs",
    "sample_folders",
    "show_run",
    "stored_on",
    "study_plan",
    "study_run",
    "sweep",
    "sweep_config",
    "train",
    "train_command",
    "trajectory",
    "transfer",
    "wayward",
    "wayward_config",
    "report",
]


def __getattr__(name: str) -> Any:
    if name in ("Written", "report"):  # Plotly comes with them, and few commands draw
        return getattr(importlib.import_module("probe.verbs.reporting"), name)
    raise AttributeError(f"module 'probe.verbs' has no attribute {name!r}")
