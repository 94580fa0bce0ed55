"""Files that `probe decode` writes beside its answer, each whole or not at all."""

from __future__ import annotations

from pathlib import Path

from probe.analysis.decoding import Decoding
from probe.store import replace_file


def write_csv(decoding: Decoding, path: Path) -> None:
    """One row per position and rank, with how it was made."""
    from probe.report import decoding_csv

    replace_file(path, decoding_csv(decoding).encode("utf-8", "backslashreplace"))


def write_html(decoding: Decoding, path: Path) -> None:
    """A self-contained page."""
    from probe.report import decoding_html

    replace_file(path, decoding_html(decoding).encode("utf-8", "backslashreplace"))
