"""The Python interface: what one asks of `probe`, with the same names as on the command line.

What a command does is `probe.NAME` too. Names are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

from probe.commands import FUNCTIONS

_FURTHER = {
    "distilling": ("distill_config",),
    "drifting": ("drift", "trajectory"),
    "prompt_library": ("add_to_library", "prompt_log"),
    "publishing": ("push_plan",),
    "studies": ("study_run", "sweep_config"),
    "training": (
        *("cancel_run", "delete_run", "rename_run", "restore_run", "resume_run", "show_run"),
        *("run_config", "train_command"),
    ),
    "waywardness": ("wayward_config",),
}
"""Functions beside those of commands, by their module."""
_PLACES = (
    FUNCTIONS
    | {name: f"probe.verbs.{module}" for module, names in _FURTHER.items() for name in names}
    | {"dry_run": "probe.jobs.plan"}
)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'probe.verbs' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(_PLACES)
