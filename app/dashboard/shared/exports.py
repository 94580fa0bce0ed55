"""Results as files, each saying how it was made, the link to the view, and settings as text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.shared.limits import DOWNLOADS, visitor
from dashboard.shared.public_demo import is_public

Content = str | bytes | Mapping[str, Any]
"""Of a file; a mapping is written as JSON."""
_KINDS = {
    "csv": ("CSV", "text/csv"),
    "json": ("JSON", "application/json"),
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
    "html": ("HTML report", "text/html"),
}
"""Label and type of the download of each ending."""


def draw_downloads(
    stem: str, files: Mapping[str, Callable[[], Content]], view: Mapping[str, object]
) -> None:
    """Under their heading a row of download buttons and the link to this very view.

    Args:
        stem: of the file names.
        files: what writes each file, by its ending (csv, json, parquet or html). It runs on click,
            outside the session, so it must carry its values along.
        view: the parameters of the page's address; empty ones are left out.
    """
    st.subheader("Export", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        for ending, write in files.items():
            draw_download(_KINDS[ending][0], f"{stem}.{ending}", write, key=f"export_{ending}")
        with st.popover("Link to this view", icon=":material/link:"):
            st.code(_link(view), language=None, wrap_lines=True)
            st.caption("Opens this very view on this machine.")


def draw_download(label: str, name: str, write: Callable[[], Content], *, key: str) -> None:
    """The button of one file, which is written on click."""
    st.download_button(
        label, data=partial(_bytes, write, visitor() if is_public() else None), file_name=name,
        mime=_KINDS[name.rpartition(".")[2]][1], on_click="ignore", icon=":material/download:",
        key=key,
    )  # fmt: skip


def draw_settings(settings: Mapping[str, Any], command: Sequence[str] = ()) -> None:
    """What was asked for, after the command that asks for it.

    In the colour of text: highlighted code is too faint on a light page.
    """
    if command:
        st.code(shlex.join(command), language=None, wrap_lines=True)
    st.code(
        json.dumps(dict(settings), ensure_ascii=False, indent=1, default=str), None, wrap_lines=True
    )


def _bytes(write: Callable[[], Content], stranger: str | None) -> bytes:
    """UTF-8, with halves of characters, which it cannot hold, written by their numbers.

    Raises:
        DemoError: a stranger asks too often.
    """
    if stranger is not None:
        DOWNLOADS.admit(stranger)
    text = write()
    if isinstance(text, Mapping):
        text = json.dumps(text, ensure_ascii=False, indent=1)
    return text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")


def _link(view: Mapping[str, object]) -> str:
    kept = {name: value for name, value in view.items() if value not in ("", [], (), None, False)}
    return f"{(st.context.url or '').partition('?')[0]}?{urlencode(kept, doseq=True)}"
