"""Files that commands write beside their answer, each whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from probe.atomic import replace_file, require_new

if TYPE_CHECKING:
    import pandas as pd

    from probe.analysis.decoding import Decoding
    from probe.results import Result


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
    from probe.reports.decoding import decoding_csv

    replace_file(path, decoding_csv(decoding).encode("utf-8", "backslashreplace"))


def write_html(decoding: Decoding, path: Path) -> None:
    """A self-contained page."""
    from probe.reports.decoding import decoding_html

    replace_file(path, decoding_html(decoding).encode("utf-8", "backslashreplace"))


def write_figures(title: str, result: Result, path: Path | None) -> None:
    """Headline and figures of a result as a page that needs no network, where one is asked for."""
    if path is not None:
        from probe.reports.figures import result_html

        replace_file(path, result_html(title, result).encode("utf-8", "backslashreplace"))
