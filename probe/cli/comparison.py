"""Several prompts together, printed: `probe compare`, `map`, `find`, `clusters`, `transfer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.output import cell, headline, say, table, visible
from probe.measures import measure_name
from probe.texts import counted

if TYPE_CHECKING:
    from rich.table import Table

    from probe.analysis.clusters import Clusters
    from probe.analysis.compare import Comparison
    from probe.analysis.maps import Map
    from probe.analysis.transfer import RankCorrelation, Transfer, TransferCell
    from probe.verbs.finding import Found

_COLUMNS = 10
"""Prompts up to which the whole matrix fits a terminal."""
_PAIRS = 15
_SHOWN = 40
"""Rows of a map printed; JSON has all."""
_TOKENS = 4
_MEMBERS = 6
"""Prompts up to which every cluster's share of each has a column."""


def print_comparison(found: Comparison) -> None:
    """The measure, the matrix if it fits, and the closest pairs with what they share."""
    from probe.analysis.compare import MEASURES, pair_words, separation_sentence

    direction = "higher" if found.higher_is_closer else "lower"
    how = " · change since start" * found.change + " · centred on the mean row" * found.centre
    grid = table("closest pairs", "", "value", "shared starts", right=("value",))
    for i, j, value in found.nearest[:_PAIRS]:
        shared = cell(pair_words(found, i, j, short=True), "dim")
        grid.add_row(*map(cell, (found.prompts[i], found.prompts[j], f"{value:.5g}")), shared)
    told = separation_sentence(found)
    say(
        f"{measure_name(found.measure)} ({direction} is closer): "
        f"{MEASURES[found.measure].meaning}{how} · {counted(len(found.prompts), 'prompt')}",
        *([_matrix(found)] if len(found.prompts) <= _COLUMNS else []),
        grid,
        *([told] if told else []),
    )


def _matrix(found: Comparison) -> Table:
    numbers = tuple(str(n) for n in range(1, len(found.prompts) + 1))
    grid = table("", "prompt", *numbers, right=("", *numbers))
    for number, name, row in zip(numbers, found.prompts, found.matrix, strict=True):
        grid.add_row(*map(cell, (number, name, *(f"{value:.3f}" for value in row))))
    return grid


def print_map(found: Map) -> None:
    """Where the first rows lie, and what is nearest to each."""
    grid = table("prompt", "#", "x", "y", "nearest tokens", right=("#", "x", "y"))
    for point in found.to_json()["points"][:_SHOWN]:
        tokens = "  ".join(n["token"] for n in point["neighbours"][:_TOKENS])
        place = (f"{point['x']:.3f}", f"{point['y']:.3f}")
        name = found.prompts[point["prompt"]]
        grid.add_row(*map(cell, (name, point["position"], *place, tokens)))
    say(headline(found), grid)
    if len(found.points) > _SHOWN:
        say(f"{_SHOWN} of {counted(len(found.points), 'row')}; --json has all of them")


def print_found(found: Found) -> None:
    """The positions closest to a token."""
    grid = table("prompt", "#", "score", right=("#", "score"))
    for match in found.matches:
        grid.add_row(*map(cell, (match.prompt, match.position, f"{match.score:.4g}")))
    say(headline(found), *([grid] if found.matches else []))


def print_clusters(found: Clusters) -> None:
    """How many there are, each by its nearest tokens, and how tight the rows' tokens are."""
    first, tightness = found.headline()
    names = found.prompts if len(found.prompts) <= _MEMBERS else ()
    grid = table("#", "size", "nearest tokens", *map(visible, names), right=("#", "size"))
    for cluster in found.clusters:
        members = cluster.members if names else ()
        grid.add_row(*map(cell, (cluster.label, cluster.size, "  ".join(cluster.tokens), *members)))
    say(first, grid, tightness)


def print_transfer(found: Transfer) -> None:
    """Every prompt's score on every task, and what similarity foretells of them."""
    columns = [f"{task.name} ({task.metric.replace('_', ' ')})" for task in found.tasks]
    grid = table("prompt", "trained on", *columns, right=tuple(columns))
    for i, (name, own) in enumerate(zip(found.prompts, found.trained_on, strict=True)):
        row = found.cells[i * len(columns) : (i + 1) * len(columns)]
        grid.add_row(*map(cell, (name, own or "–", *map(_score, row))))
    say(
        headline(found),
        grid,
        "Score, and gain over the model alone in the same words; * where the 95 % interval over "
        "examples leaves out 0.",
    )
    if found.correlations:
        _print_correlations(found.correlations)
    else:
        say(
            "No correlation with similarity: it takes four prompts or more, with tasks among "
            "those asked."
        )
    say(*(f"{measure} left out: {reason}" for measure, reason in found.refused))


def _score(one: TransferCell) -> str:
    low, high = one.gain_interval
    return f"{one.score:.3f} ({one.gain:+.3f}){'*' if low > 0 or high < 0 else ' '}"


def _print_correlations(found: tuple[RankCorrelation, ...]) -> None:
    kinds = ("other tasks", "all sources")
    columns = [f"{kind}\n{number}" for kind in kinds for number in ("ρ", "τ", "p")]
    grid = table("similarity", *columns, "targets", right=(*columns, "targets"))
    by_measure: dict[str, list[RankCorrelation]] = {}
    for one in found:
        by_measure.setdefault(one.measure, []).append(one)
    for measure, pair in by_measure.items():
        numbers = [
            "–" if number is None else f"{number:{form}}"
            for one in pair
            for number, form in (
                (one.spearman, "+.2f"),
                (one.kendall, "+.2f"),
                (one.p_value, ".3f"),
            )
        ]
        grid.add_row(
            cell(measure_name(measure)), *numbers, "/".join(str(one.targets) for one in pair)
        )
    say(
        grid,
        "Do prompts closer to a target's prompt score higher on its task? Spearman's ρ and "
        "Kendall's τ, mean over targets; p by permuting prompts. First of sources trained on "
        f"other tasks, then of all sources. {counted(len(by_measure), 'measure')} tried: by "
        "chance one in twenty has p < 0.05.",
    )
