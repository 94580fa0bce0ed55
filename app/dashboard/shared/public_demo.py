"""The public demo (`probe app --demo`): what strangers may not ask for, refused in one place.

Nothing but a visitor's distillation writes: pages get a workspace that is `read_only`, and
`refuse_changes` stands before whatever starts, ends or renames a job.
"""

from __future__ import annotations

import os
from typing import NoReturn

import streamlit as st

from probe.errors import ProbeError
from probe.store import Workspace
from probe.tables import ALWAYS_NAMED

PUBLIC = "PROBE_DEMO"
"""Set in the environment of a server that strangers reach."""
_OWN = "install probe and run `probe app` for that"


class DemoError(ProbeError):
    """A visitor of the public demo asked for what it does not give, or too often."""


def is_public() -> bool:
    """Whether strangers look at these pages."""
    return os.environ.get(PUBLIC) == "1"


def refuse_changes(*_: object, **__: object) -> None:
    """Let pass whoever runs a dashboard of their own.

    Raises:
        DemoError: this is the public demo.
    """
    if is_public():
        _refuse()


def _refuse(*_: object, **__: object) -> NoReturn:
    raise DemoError(f"the public demo is read-only: {_OWN}")


def is_offered(what: str) -> bool:
    """Whether visitors may do something; where not, the page says so in one line."""
    if not is_public():
        return True
    st.caption(f"The public demo offers no {what}: {_OWN}.")
    return False


def require_offered(model: str) -> None:
    """Let pass every model on a dashboard of one's own, and the shipped ones in the demo.

    Raises:
        DemoError: a visitor names another model.
    """
    if is_public() and model not in ALWAYS_NAMED:
        raise DemoError(
            f"the public demo has the base models {', '.join(ALWAYS_NAMED)} only: choose one of "
            f"them, or {_OWN}"
        )


def read_only(space: Workspace) -> Workspace:
    """A workspace whose prompts, tasks and jobs can be looked at only: every writer refuses."""
    closed: tuple[tuple[object, tuple[str, ...]], ...] = (
        (space, ("save", "tag", "untag", "annotate", "record", "remove", "remove_leftovers")),
        (space.tasks, ("save",)),
        (space.prompts, ("publish", "rewrite", "append", "remove")),
        *(
            (jobs, ("create", "remove", "discard", "recover", "empty_trash"))
            for jobs in (space.jobs, space.runs, space.studies)
        ),
    )
    for part, writers in closed:
        for writer in writers:
            setattr(part, writer, _refuse)
    return space
