"""`probe lens`: what a model's layers make of a prompt."""

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
from probe.requests import LensRequest

if TYPE_CHECKING:
    from probe.analysis.lens import LayerControl, Lens, LensCell
    from probe.analysis.patching import Descriptions
    from probe.analysis.value_lens import ValueCell, ValueLens
    from probe.verbs import LensReading

_LAYERS_SHOWN = 6
"""Layers that fit beside each other on a terminal."""


@takes_requests
def lens(asked: LensRequest, beside: Figures, json: Json = False) -> None:
    """Read a prompt through the model's layers, beside random rows of the same norms."""
    from probe import verbs

    html = new_place(beside.html)
    with usage_errors():
        result = verbs.lens(asked)
    write_figures(f"Lens of {result.lens.prompt}", result, html)
    show(result, _print_lens, json=json)


def _print_lens(result: LensReading) -> None:
    from probe.analysis.lens import Lens

    read, out = result.lens, console()
    logit = isinstance(read, Lens)
    what = "logit lens" if logit else "value lens"
    out.print(visible(f"{read.prompt} on {result.model} · {what}"), soft_wrap=True)
    out.print(_positions(read))
    out.print(_controls(read.layers))
    told = "" if logit else ", as the head reads it that is surest"
    out.print(
        f"The first token of each position at each layer{told}. Beside it: {read.draws} random "
        f"{'prompts' if logit else 'prefixes'} of the same norms.",
        soft_wrap=True,
    )
    out.print(
        "Overlap: tokens shared with a random row in the same place; near 1, the layer tells of "
        "the model, not of the prompt.",
        soft_wrap=True,
    )
    print_headline(read)
    if result.descriptions is not None:
        _print_descriptions(result.descriptions)


def _positions(read: Lens | ValueLens) -> object:
    """The first token of every position at some layers: first, last and between."""
    first: dict[tuple[int, int], LensCell | ValueCell] = {}
    for one in read.cells:
        place = (one.layer, one.position)
        if place not in first or one.tokens[0].probability > first[place].tokens[0].probability:
            first[place] = one  # of several heads, the one that is surest
    layers = _some(sorted({layer for layer, _ in first}))
    names = [f"layer {layer}" for layer in layers]
    between = (*names[1:-1:2], *names[2:-1:2])
    grid = table("position", *names, right=("position",), whole=tuple(names), spare=between)
    for position in sorted({position for _, position in first}):
        cells = [first[layer, position] for layer in layers]
        grid.add_row(
            str(position),
            *(cell(f"{one.tokens[0].token} {one.tokens[0].probability:.2f}") for one in cells),
        )
    return grid


def _some(layers: list[int]) -> list[int]:
    if len(layers) <= _LAYERS_SHOWN + 1:
        return layers
    step = (len(layers) - 1) / (_LAYERS_SHOWN - 1)
    return [layers[round(i * step)] for i in range(_LAYERS_SHOWN)]


def _controls(layers: tuple[LayerControl, ...]) -> object:
    columns = ("mean probability of the first token", "of random rows", "overlap")
    grid = table("layer", *columns, right=("layer", *columns))
    for one in layers:
        grid.add_row(
            str(one.layer),
            f"{one.top_probability:.3f}",
            f"{one.random_top_probability:.3f}",
            f"{one.overlap:.3f}",
        )
    return grid


def _print_descriptions(found: Descriptions) -> None:
    out = console()
    grid = table(
        "layer",
        "described as",
        "class rate",
        "of random rows",
        right=("class rate", "of random rows"),
    )
    for one in found.layers:
        shown = (f"{one.class_rate:.2f}", f"{one.random_class_rate:.2f}")
        grid.add_row(str(one.layer), cell(one.text.strip()), *shown)
    out.print()
    out.print(grid)
    print_headline(found)
