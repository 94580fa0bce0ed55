"""`probe transfer`: every prompt on every task, and whether similarity foretells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.options import Figures, Json, usage_errors
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
from probe.requests import TransferRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.transfer import RankCorrelation, Transfer


@takes_requests
def transfer(asked: TransferRequest, beside: Figures, json: Json = False) -> None:
    """Score every prompt on every task, and correlate the scores with similarity."""
    from probe import verbs

    html = new_place(beside.html)
    with usage_errors():
        result = verbs.transfer(asked)
    write_figures("Prompts on other tasks", result, html)
    show(result, _print, json=json)


def _print(result: Transfer) -> None:
    out = console()
    print_headline(result)
    columns = [f"{task.name} ({task.metric.replace('_', ' ')})" for task in result.tasks]
    grid = table("prompt", "trained on", *columns, right=tuple(columns))
    for i, (name, own) in enumerate(zip(result.prompts, result.trained_on, strict=True)):
        row = result.cells[i * len(columns) : (i + 1) * len(columns)]
        shown = []
        for one in row:
            clear = one.gain_interval[0] > 0 or one.gain_interval[1] < 0
            shown.append(f"{one.score:.3f} ({one.gain:+.3f}){'*' if clear else ' '}")
        grid.add_row(cell(name), cell(own or "–"), *map(cell, shown))
    out.print(grid)
    out.print(
        "Score, and gain over the model alone in the same words; * where the 95 % interval over "
        "examples leaves out 0.",
        soft_wrap=True,
    )
    if result.correlations:
        _print_correlations(result.correlations)
    else:
        out.print(
            "No correlation with similarity: it takes four prompts or more, with tasks among "
            "those asked.",
            soft_wrap=True,
        )
    for measure, reason in result.refused:
        out.print(visible(f"{measure} left out: {reason}"), soft_wrap=True)


def _print_correlations(found: tuple[RankCorrelation, ...]) -> None:
    out = console()
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
        grid.add_row(cell(measure), *numbers, "/".join(str(one.targets) for one in pair))
    out.print(grid)
    out.print(
        "Do prompts closer to a target's prompt score higher on its task? Spearman's ρ and "
        "Kendall's τ, mean over targets; p by permuting prompts. First of sources trained on "
        f"other tasks, then of all sources. {counted(len(by_measure), 'measure')} tried: by "
        "chance one "
        "in twenty has p < 0.05.",
        soft_wrap=True,
    )
