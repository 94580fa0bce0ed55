"""`probe decode`: the tokens each position is closest to, beside what chance would give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from probe.cli.options import Json, usage_errors
from probe.cli.requests import takes_requests
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
    from probe import verbs
    from probe.cli import exports

    csv, html = exports.new_place(beside.csv), exports.new_place(beside.html)
    with usage_errors():
        decoding = verbs.decode(asked)
    if csv is not None:
        exports.write_csv(decoding, csv)
    if html is not None:
        exports.write_html(decoding, html)
    if json:
        from probe.cli.output import print_json

        print_json(decoding.to_json())
    else:
        from probe.cli.decoding_table import print_decoding

        print_decoding(decoding)
