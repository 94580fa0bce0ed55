"""`probe clusters`: groups of prompt rows, or of prompts, and the tokens that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import cell, console, print_json, table, visible
from probe.cli.requests import takes_requests
from probe.requests import ClustersRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.clusters import Clusters

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
    out = console()
    fit = "no silhouette" if found.silhouette is None else f"silhouette {found.silhouette:.3f}"
    noise = int((found.labels < 0).sum())
    out.print(
        f"{found.method} of {len(found.labels)} {found.items} of "
        f"{counted(len(found.prompts), 'prompt')} on {visible(found.model)} · {found.metric} · "
        f"seed {found.seed} · {fit}" + (f" · {noise} in no cluster" if noise else ""),
        soft_wrap=True,
    )
    names = found.prompts if len(found.prompts) <= _MEMBERS else ()
    grid = table("#", "size", "nearest tokens", *map(visible, names), right=("#", "size"))
    for cluster in found.clusters:
        members = cluster.members if names else ()
        grid.add_row(*map(cell, (cluster.label, cluster.size, "  ".join(cluster.tokens), *members)))
    out.print(grid)
    tight = found.tightness
    out.print(
        f"The five tokens nearest to a row have a mean cosine of {tight.rows.mean():.3f} with each "
        f"other ({counted(len(tight.rows), 'row')}); around real tokens it is "
        f"{tight.tokens.mean():.3f}, among random tokens {tight.random.mean():.3f} "
        f"({len(tight.random)} each): tighter than {tight.percentile:.0f} % of real tokens' "
        "neighbourhoods.",
        soft_wrap=True,
    )
