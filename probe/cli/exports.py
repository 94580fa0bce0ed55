"""Files that commands write beside their answer, each whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from probe.analysis.decoding import Decoding
from probe.analysis.maps import Map
from probe.store import replace_file, require_new

if TYPE_CHECKING:
    import pandas as pd


def new_place(path: Path | None) -> Path | None:
    """Where a file is to be written, checked before any work: nothing is overwritten.

    Raises:
        ProbeError: something is there.
    """
    return None if path is None else require_new(path)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """A table as CSV."""
    from probe.reports.spreadsheets import csv_of

    replace_file(path, csv_of(frame).encode("utf-8", "backslashreplace"))


def write_csv(decoding: Decoding, path: Path) -> None:
    """One row per position and rank, with how it was made."""
    from probe.reports import decoding_csv

    replace_file(path, decoding_csv(decoding).encode("utf-8", "backslashreplace"))


def write_html(decoding: Decoding, path: Path) -> None:
    """A self-contained page."""
    from probe.reports import decoding_html

    replace_file(path, decoding_html(decoding).encode("utf-8", "backslashreplace"))


def write_map(mapped: Map, path: Path) -> None:
    """The figure on a page of its own, with how it was made; it needs no network."""
    from html import escape

    from probe.charts import map_caption, map_figure, visible

    figure = map_figure(mapped).to_html(include_plotlyjs=True, full_html=False)
    caption = escape(visible(map_caption(mapped)))
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>probe map</title>'
        '<body style="font: 15px sans-serif; margin: 1.5rem; background: white">'
        f"{figure}<p>{caption}</p></body></html>\n"
    )
    replace_file(path, page.encode("utf-8", "backslashreplace"))
