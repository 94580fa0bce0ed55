"""A decoding as files to take along, each saying how it was made, and the link to the view."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import streamlit as st

from probe.analysis.decoding import Decoding
from probe.report import decoding_csv, decoding_html


def decoding_json(decoding: Decoding) -> str:
    """The document `probe decode --json` prints."""
    return json.dumps(decoding.to_json(), ensure_ascii=False, indent=1)


def draw_exports(decoding: Decoding, view: Mapping[str, object]) -> None:
    """The row of download buttons and the link to this very view."""
    stem = f"{decoding.prompt}-{decoding.metric}"
    files = (
        ("CSV", decoding_csv, "csv", "text/csv"),
        ("JSON", decoding_json, "json", "application/json"),
        ("HTML report", decoding_html, "html", "text/html"),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, write, ending, mime in files:
            st.download_button(
                label,
                # Runs on click, outside the session: it must carry its values along.
                data=lambda write=write: _bytes(write(decoding)),
                file_name=f"{stem}.{ending}",
                mime=mime,
                on_click="ignore",
                icon=":material/download:",
                key=f"export_{ending}",
            )
        with st.popover("Link to this view", icon=":material/link:"):
            st.code(_link(view), language=None, wrap_lines=True)
            st.caption("Opens the same prompt, metric, filters and position on this machine.")


def _bytes(text: str) -> bytes:
    """UTF-8, with halves of characters, which it cannot hold, written by their numbers."""
    return text.encode("utf-8", "backslashreplace")


def _link(view: Mapping[str, object]) -> str:
    kept = {name: value for name, value in view.items() if value not in ("", [], (), None, False)}
    return f"{(st.context.url or '').partition('?')[0]}?{urlencode(kept, doseq=True)}"
