"""`probe ablate`: which positions matter, and where the text looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.exports import new_place, write_figures
from probe.cli.options import Json
from probe.cli.output import cell, console, print_headline, print_json, table, visible
from probe.cli.requests import takes_requests
from probe.requests import AblateRequest

if TYPE_CHECKING:
    from probe.bootstrap import Estimate
    from probe.verbs import Ablated


@dataclass(frozen=True)
class Beside:
    """Files beside the answer."""

    html: Path | None = None
    """Also write the figures to this new file, to open anywhere."""


@takes_requests
def ablate(asked: AblateRequest, beside: Beside, json: Json = False) -> None:
    """Change each position in turn and measure how the loss changes, beside attention."""
    from probe import verbs

    html = new_place(beside.html)
    result = verbs.ablate(asked)
    write_figures(f"Ablation of {result.ablation.prompt}", result, html)
    if json:
        print_json(result.to_json())
    else:
        _print(result)


def _print(result: Ablated) -> None:
    from probe.analysis.ablation import KINDS

    found, out = result.ablation, console()
    out.print(
        visible(
            f"{found.prompt} on {result.model} · {result.task} · {found.n} {result.split} examples"
        ),
        soft_wrap=True,
    )
    print_headline(result)
    kinds = [kind for kind in KINDS if getattr(found.positions[0], kind) is not None]
    names = {"removed": "removed", "mean": "mean row", "swapped": "swapped with"}
    columns = [names[kind] for kind in kinds]
    every = ("position", *columns, "attention")
    grid = table(*every, right=every, spare=("swapped with", "attention"))
    even = result.attention.uniform.mean(axis=0)
    for one, mass, share in zip(found.positions, result.attention.by_position, even, strict=True):
        cells = [_change(getattr(one, kind)) for kind in kinds]
        if "swapped" in kinds:
            cells[-1] = f"{one.partner}: {cells[-1]}"
        grid.add_row(str(one.position), *map(cell, cells), f"{mass:.3f} ({mass / share:.1f}×)")
    out.print(grid)
    out.print(
        "Change of the loss in nats, 95 % intervals over examples; * leaves out 0.", soft_wrap=True
    )
    out.print(
        "Attention: what text positions give this one, mean over layers, and times its even share; "
        "looking is not using.",
        soft_wrap=True,
    )


def _change(change: Estimate) -> str:
    low, high = change.ends
    return f"{change.value:+.3f} [{low:+.3f}, {high:+.3f}]{'*' if change.clear else ' '}"
