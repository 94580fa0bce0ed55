"""`probe knock-out`: in which layers a prompt acts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json
from probe.cli.output import (
    cell,
    console,
    new_place,
    print_headline,
    show,
    table,
    visible,
    write_figures,
)
from probe.cli.requests import takes_requests
from probe.requests import KnockOutRequest

if TYPE_CHECKING:
    from probe.analysis.knock_out import Cut
    from probe.verbs import KnockedOut


@dataclass(frozen=True)
class Beside:
    """Files beside the answer."""

    html: Path | None = None
    """Also write the figure to this new file, to open anywhere."""


@takes_requests
def knock_out(asked: KnockOutRequest, beside: Beside, json: Json = False) -> None:
    """Cut layers off from the prompt in turn and measure how the loss changes."""
    from probe import verbs

    html = new_place(beside.html)
    result = verbs.knock_out(asked)
    write_figures(f"Knock-out of {result.knock_out.prompt}", result, html)
    show(result, _print, json=json)


def _print(result: KnockedOut) -> None:
    found, out = result.knock_out, console()
    on = f"{result.task} · {found.n} {result.split} examples"
    on = on if result.task is not None else f"{found.n} contexts"
    out.print(visible(f"{found.prompt} on {result.model} · {on}"), soft_wrap=True)
    print_headline(result)
    window = "this layer" if found.window == 1 else f"{found.window} layers around it"
    grid = table(
        "layer", window, "up to it", "from it on",
        right=("layer", window, "up to it", "from it on"), spare=("from it on",),
    )  # fmt: skip
    for one in found.layers:
        cells = map(cell, map(_change, (one.window, one.up_to, one.onward)))
        grid.add_row(str(one.layer), *cells)
    out.print(grid)
    what = "loss" if found.measured == "loss" else "divergence from the whole prompt"
    out.print(
        f"Change of the {what} in nats where texts do not see the prompt in these layers; * the "
        "95 % interval leaves out 0.",
        soft_wrap=True,
    )


def _change(cut: Cut) -> str:
    low, high = cut.loss_nats.ends
    star = "*" if cut.loss_nats.clear else " "
    return f"{cut.loss_nats.value:+.3f} [{low:+.3f}, {high:+.3f}]{star}"
