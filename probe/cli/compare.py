"""`probe compare`: how close every prompt is to every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import cell, console, print_json, table, visible
from probe.cli.requests import takes_requests
from probe.requests import CompareRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.compare import Comparison

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
    if json:
        print_json(comparison.to_json())
    else:
        _print_comparison(comparison)


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
