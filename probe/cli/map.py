"""`probe map`: prompt rows on a map of the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import cell, console, print_json, table, visible
from probe.cli.requests import takes_requests
from probe.requests import MapRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.maps import Map

_SHOWN = 40
"""Rows printed; JSON has all."""
_TOKENS = 4


@dataclass(frozen=True)
class Beside:
    """Files beside the answer."""

    html: Path | None = None
    """Also write the map to this new file, to open anywhere."""


@takes_requests
def map_prompts(asked: MapRequest, beside: Beside, json: Json = False) -> None:
    """Lay prompt rows out among the vocabulary, with their neighbours in the original space.

    A source may hold several prompts; all that were trained take part.
    """
    from probe import verbs
    from probe.cli.exports import new_place

    html = new_place(beside.html)
    with usage_errors():
        mapped = verbs.map(asked)
    if html is not None:
        from probe.cli.exports import write_map

        write_map(mapped, html)
    if json:
        print_json(mapped.to_json())
    else:
        _print_map(mapped)


def _print_map(mapped: Map) -> None:
    from probe.charts import map_caption

    out = console()
    out.print(visible(map_caption(mapped)), soft_wrap=True)
    grid = table("prompt", "#", "x", "y", "nearest tokens", right=("#", "x", "y"))
    for point in mapped.to_json()["points"][:_SHOWN]:
        tokens = "  ".join(n["token"] for n in point["neighbours"][:_TOKENS])
        place = (f"{point['x']:.3f}", f"{point['y']:.3f}")
        name = mapped.prompts[point["prompt"]]
        grid.add_row(*map(cell, (name, point["position"], *place, tokens)))
    out.print(grid)
    if len(mapped.points) > _SHOWN:
        out.print(f"{_SHOWN} of {counted(len(mapped.points), 'row')}; --json has all of them")
