"""`probe compare`, `probe map`, `probe clusters` and `probe report`: several prompts together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import cell, console, print_headline, show, table, visible
from probe.cli.requests import takes_requests
from probe.requests import ClustersRequest, CompareRequest, MapRequest, ReportRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.clusters import Clusters
    from probe.analysis.compare import Comparison
    from probe.analysis.maps import Map
    from probe.verbs import Written


_COLUMNS = 10
"""Prompts up to which the whole matrix fits a terminal."""
_PAIRS = 15


@takes_requests
def compare(asked: CompareRequest, json: Json = False) -> None:
    """Say how close every prompt is to every other.

    A source may hold several prompts; all that were trained take part.
    """
    from probe import verbs

    with usage_errors():
        comparison = verbs.compare(asked)
    show(comparison, _print_comparison, json=json)


def _print_comparison(comparison: Comparison) -> None:
    from probe.analysis.compare import MEASURES, pair_words, separation_sentence

    out = console()
    direction = "higher" if comparison.higher_is_closer else "lower"
    centred = " · change since start" if comparison.change else ""
    centred += " · centred on the mean row" if comparison.centre else ""
    out.print(
        f"{comparison.measure} ({direction} is closer): "
        f"{MEASURES[comparison.measure].meaning}{centred} · "
        f"{counted(len(comparison.prompts), 'prompt')}",
        soft_wrap=True,
    )
    if len(comparison.prompts) <= _COLUMNS:
        _print_matrix(comparison)
    names = comparison.prompts
    grid = table("closest pairs", "", "value", "shared starts", right=("value",))
    for i, j, value in comparison.nearest[:_PAIRS]:
        told = pair_words(comparison, i, j, short=True)
        grid.add_row(cell(names[i]), cell(names[j]), cell(f"{value:.5g}"), cell(told, "dim"))
    out.print(grid)
    if told := separation_sentence(comparison):
        out.print(told, soft_wrap=True)


def _print_matrix(comparison: Comparison) -> None:
    numbers = tuple(str(n) for n in range(1, len(comparison.prompts) + 1))
    grid = table("", "prompt", *numbers, right=("", *numbers))
    for number, name, row in zip(numbers, comparison.prompts, comparison.matrix, strict=True):
        grid.add_row(cell(number), cell(visible(name)), *(cell(f"{value:.3f}") for value in row))
    console().print(grid)


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
    from probe.cli.output import new_place, write_figures

    html = new_place(beside.html)
    with usage_errors():
        mapped = verbs.map(asked)
    write_figures("probe map", mapped, html)
    show(mapped, _print_map, json=json)


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
    show(found, _print_clusters, json=json)


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


@takes_requests
def report(asked: ReportRequest, json: Json = False) -> None:
    """Write all about some prompts into one HTML file that opens anywhere and prints.

    A source may hold several prompts; all that were trained take part. Nothing is overwritten.
    """
    from probe import verbs

    with usage_errors():
        written = verbs.report(asked)
    show(written, _print_written, json=json)


def _print_written(written: Written) -> None:
    for line in written.headline():
        console().print(visible(line), soft_wrap=True)
