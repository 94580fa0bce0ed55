"""`probe decode`: tokens near each position."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from probe.atomic import write_new
from probe.cli.options import Json, usage_errors
from probe.cli.output import new_place, show
from probe.cli.requests import takes_requests
from probe.errors import ProbeError
from probe.requests import DecodeRequest


@dataclass(frozen=True)
class Beside:
    """Files beside the answer."""

    csv: Path | None = None
    """Also write one row per position and rank to this new file."""
    html: Path | None = None
    """Also write a page that opens anywhere to this new file."""


@takes_requests
def decode(asked: DecodeRequest, beside: Beside, json: Json = False) -> None:
    """List the tokens each position is closest to, and say what that is worth.

    The prompt must be one: when a source holds several, name one as PATH#NAME. Rows that a file
    stores although they were never trained are left out.
    """
    from probe.cli.decoding_table import print_decoding
    from probe.verbs.decoding import decode as decoded

    csv, html = new_place(beside.csv), new_place(beside.html)
    if csv is not None and csv == html:
        raise ProbeError(f"--csv and --html both name {csv}: name two files")
    with usage_errors():
        decoding = decoded(asked)
    if csv or html:
        from probe.reports.decoding import decoding_csv, decoding_html  # Plotly comes with it

        for place, text in ((csv, decoding_csv), (html, decoding_html)):
            if place is not None:
                write_new(place, text(decoding))
    show(decoding, print_decoding, json=json)
