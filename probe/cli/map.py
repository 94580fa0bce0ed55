"""`probe map` and `probe clusters`: prompt rows in the vocabulary, and the groups they form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import cell, console, print_headline, print_json, table, visible
from probe.cli.requests import takes_requests
from probe.requests import ClustersRequest, MapRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.clusters import Clusters
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
    from probe.cli.exports import new_place, write_figures

    html = new_place(beside.html)
    with usage_errors():
        mapped = verbs.map(asked)
    write_figures("probe map", mapped, html)
    if json:
        print_json(mapped.to_json())
    else:
        _print_map(mapped)


def _print_map(mapped: Map) -> None:
    out = console()
    print_headline(mapped)
    grid = table("prompt", "#", "x", "y", "nearest tokens", right=("#", "x", "y"))
    for point in mapped.to_json()["points"][:_SHOWN]:
        tokens = "  ".join(n["token"] for n in point["neighbours"][:_TOKENS])
        place = (f"{point['x']:.3f}", f"{point['y']:.3f}")
        name = mapped.prompts[point["prompt"]]
        grid.add_row(*map(cell, (name, point["position"], *place, tokens)))
    out.print(grid)
    if len(mapped.points) > _SHOWN:
        out.print(f"{_SHOWN} of {counted(len(mapped.points), 'row')}; --json has all of them")


_MEMBERS = 6
"""Prompts up to which every cluster's share of each has a column."""


@takes_requests
def clusters(asked: ClustersRequest, json: Json = False) -> None:
    """Group prompt rows, or prompts, and name each group by its nearest tokens.

    A source may hold several prompts; all that were trained take part.
    """
    from probe import verbs

    with usage_errors():
        found = verbs.clusters(asked)
    if json:
        print_json(found.to_json())
    else:
        _print_clusters(found)


def _print_clusters(found: Clusters) -> None:
    first, tightness = found.headline()
    out = console()
    out.print(visible(first), soft_wrap=True)
    names = found.prompts if len(found.prompts) <= _MEMBERS else ()
    grid = table("#", "size", "nearest tokens", *map(visible, names), right=("#", "size"))
    for cluster in found.clusters:
        members = cluster.members if names else ()
        grid.add_row(*map(cell, (cluster.label, cluster.size, "  ".join(cluster.tokens), *members)))
    out.print(grid)
    out.print(tightness, soft_wrap=True)
