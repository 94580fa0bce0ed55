"""What a page shows when something goes wrong: one line, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import refuse_changes
from probe.atomic import make_private
from probe.errors import ProbeError, is_failure
from probe.jobs.reporter import is_expected, reason
from probe.paths import home


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error into a line on the page; what nobody expected goes to the log in full."""
    try:
        yield
    except ProbeError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except BaseException as error:
        if not is_failure(error):
            raise  # Streamlit's own way to end or repeat a page
        st.error(plain(reason(error)) if is_expected(error) else _logged(), icon=":material/error:")


@contextmanager
def refusals() -> Iterator[None]:
    """Say what cannot be done as it was asked for where it was asked; the page goes on."""
    try:
        yield
    except ProbeError as error:
        st.error(plain(str(error)), icon=":material/block:")


def attempt(action: Callable[[], object]) -> bool:
    """Whether an action went through; what kept it from doing so is said on the next rerun."""
    try:
        refuse_changes()
        action()
    except ProbeError as error:
        st.session_state["said"] = str(error)
        return False
    return True


def draw_said() -> None:
    """What an action of the last rerun has to say."""
    if said := st.session_state.pop("said", None):
        st.error(plain(said), icon=":material/error:")
    if done := st.session_state.pop("done", None):
        st.success(plain(done), icon=":material/check:")


def _logged() -> str:
    """What to say of an error that nobody expected, which is now in the log."""
    try:
        log = plain(str(_write_log()))
    except OSError as error:
        return f"Something went wrong, and no log can be written ({plain(str(error))})."
    return (
        f"Something went wrong on our side. The details are in {log}: "
        "please attach it when you report this."
    )


def _write_log() -> Path:
    path = home() / "dashboard.log"
    make_private(path.parent)
    path.touch(mode=0o600)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("probe.app")
    logger.addHandler(handler)
    logger.exception("unexpected error on a page")
    logger.removeHandler(handler)
    handler.close()
    return path
