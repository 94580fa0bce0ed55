"""`probe cram`: how much text a few rows hold."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json
from probe.cli.output import (
    cell,
    console,
    new_place,
    print_headline,
    print_json,
    table,
    write_figures,
)
from probe.cli.requests import takes_requests
from probe.requests import CramRequest

if TYPE_CHECKING:
    from probe.training.cramming import Look
    from probe.verbs import Crammed

_EVERY = 50
"""Updates between two lines about a text."""


@dataclass(frozen=True)
class Beside:
    """Files beside the answer."""

    html: Path | None = None
    """Also write the figures to this new file, to open anywhere."""


@takes_requests
def cram(asked: CramRequest, beside: Beside, json: Json = False) -> None:
    """Train rows with which a frozen model writes a text exactly, as much of it as they hold."""
    from probe import verbs

    html = new_place(beside.html)
    found = verbs.cram(replace(asked, on_look=_tell))
    write_figures(f"Text in {found.rows} rows of {found.model}", found, html)
    if json:
        print_json(found.to_json())
    else:
        _print(found)


def _tell(look: Look) -> None:
    if look.stopped or look.step % _EVERY == 0:
        sys.stderr.write(
            f"text {look.text + 1}, step {look.step}: {look.longest} of {look.tried} tokens held, "
            f"{look.loss_nats:.3f} nats\n"
        )
        sys.stderr.flush()


def _print(found: Crammed) -> None:
    print_headline(found)
    right = ("tokens", "held", "greedy", "gained", "nats gained", "update")
    grid = table("beginning that is held", *right, right=right, spare=("update",))
    for one in found.texts:
        grid.add_row(
            cell(one.beginning[:60]),
            *map(str, (one.tokens, one.longest, one.greedy, one.tokens_gained)),
            f"{one.information_gain_nats:.1f}",
            str(one.updates),
        )
    console().print(grid)
    console().print(
        "Held: the longest beginning whose tokens are the likeliest ones behind the true ones. "
        "Greedy: what the model writes of itself before it errs. Gained: right tokens, and nats, "
        "more than without the rows.",
        soft_wrap=True,
    )
