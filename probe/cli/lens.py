"""`probe lens`: what the model's own layers make of a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.asking_options import Device, Dtype
from probe.cli.options import Json, Model, Prompt, usage_errors
from probe.cli.output import cell, console, print_json, table, visible

if TYPE_CHECKING:
    from probe.analysis.lens import LayerControl, Lens, LensCell
    from probe.analysis.patching import Descriptions
    from probe.analysis.value_lens import ValueCell, ValueLens
    from probe.verbs import LensReading

_LAYERS_SHOWN = 6
"""Layers that fit beside each other on a terminal."""


def lens(
    prompt: Prompt,
    model: Model = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Tokens per position.")] = 5,
    describe: Annotated[
        bool,
        typer.Option(
            "--describe", help="Also patch the prompt's states into a text that asks for words."
        ),
    ] = False,
    terms: Annotated[
        list[str] | None,
        typer.Option(
            "--term",
            help="A class name to count in descriptions, repeatable. Default: the prompt's label "
            "words.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="The text the states are put into, with {prompt} where they go. Default: three "
            "lists of classes.",
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Random prompts of the same norms beside it.")
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random rows.")] = 0,
    device: Device = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Read a prompt through the model's layers, beside random rows of the same norms."""
    from probe import verbs
    from probe.analysis.patching import DEFAULT_TARGET

    with usage_errors():
        result = verbs.lens(
            prompt,
            model=model,
            k=k,
            describe=describe,
            terms=terms or (),
            target=target or DEFAULT_TARGET,
            draws=draws,
            seed=seed,
            device=device,
            dtype=dtype,
        )
    if json:
        print_json(result.to_json())
    else:
        _print(result)


def _print(result: LensReading) -> None:
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
    grid = table("position", *(f"layer {layer}" for layer in layers), right=("position",))
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
    out.print(
        visible(
            f"Class rate: how many of {', '.join(found.terms)} are named. Best layer "
            f"{found.best_class_rate:.2f}; best layer of random rows "
            f"{found.random_best_class_rate:.2f}, mean of {found.draws} draws; "
            f"p = {found.p_value:.3f}"
        ),
        soft_wrap=True,
    )
