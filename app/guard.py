"""What a page shows when something goes wrong: one line, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from plain import plain

from probe.errors import ProbeError
from probe.store import default_root


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error into a line on the page; what nobody expected goes to the log in full."""
    try:
        yield
    except ProbeError as error:
        st.error(plain(str(error)), icon=":material/error:")
    except Exception:
        log = _write_log()
        st.error(
            f"Something went wrong on our side. The details are in {plain(str(log))}: "
            "please attach it when you report this.",
            icon=":material/error:",
        )


def _write_log() -> Path:
    path = default_root() / "dashboard.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("probe.app")
    logger.addHandler(handler)
    logger.exception("unexpected error on a page")
    logger.removeHandler(handler)
    handler.close()
    return path
