"""`probe decode` and `probe find`: tokens near each position, and positions near a token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import (
    cell,
    console,
    new_place,
    print_headline,
    print_json,
    show,
    table,
    visible,
    write_csv,
    write_html,
)
from probe.cli.requests import takes_requests
from probe.requests import DecodeRequest, FindRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.verbs import Found


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

    csv, html = new_place(beside.csv), new_place(beside.html)
    with usage_errors():
        decoding = verbs.decode(asked)
    if csv is not None:
        write_csv(decoding, csv)
    if html is not None:
        write_html(decoding, html)
    if json:
        print_json(decoding.to_json())
    else:
        from probe.cli.decoding_table import print_decoding

        print_decoding(decoding)


@takes_requests
def find(asked: FindRequest, json: Json = False) -> None:
    """Find the prompt positions closest to a token, across the library or in given prompts."""
    from probe import verbs

    with usage_errors():
        found = verbs.find(asked)
    show(found, _print_found, json=json)


def _print_found(found: Found) -> None:
    out = console()
    direction = "higher" if found.higher_is_better else "lower"
    out.print(
        f"{visible(found.token)} (#{found.id}) of {visible(found.model)} · {found.metric} "
        f"({direction} is closer) · {counted(found.positions, 'position')} of "
        f"{counted(found.prompts, 'prompt')}",
        soft_wrap=True,
    )
    if not found.matches:
        print_headline(found)
        return
    grid = table("prompt", "#", "score", right=("#", "score"))
    for match in found.matches:
        grid.add_row(*map(cell, (match.prompt, match.position, f"{match.score:.4g}")))
    out.print(grid)
