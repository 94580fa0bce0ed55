"""How long a run would take: two of its steps, in a process that cannot take the server along."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import streamlit as st

from probe.errors import TrainingError

_WAIT_S = 300


def plan_of(command: tuple[str, ...]) -> dict[str, Any]:
    """The document `probe train … --dry-run --json` prints.

    Raises:
        TrainingError: the run could not be done as it is asked for.
    """
    asked = [sys.executable, "-P", "-m", "probe", *command[1:], "--dry-run", "--json"]
    try:
        # Asked anew each time: what is left to train, and how busy the machine is, change.
        with st.spinner("Making two steps to see how long they take …"):
            done = subprocess.run(
                asked, capture_output=True, text=True, timeout=_WAIT_S, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TrainingError(
            f"two steps took longer than {_WAIT_S} s: choose a smaller model or batch"
        ) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [
            f"ended with {done.returncode}: out of memory?"
        ]
        raise TrainingError(lines[-1].removeprefix("probe: "))
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan
