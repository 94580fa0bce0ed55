"""`probe generate`: what the model writes behind a text under a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.asking_options import Device, Dtype, File, Texts, all_texts
from probe.cli.options import Json, Model, Prompts
from probe.cli.output import cell, console, print_json, table

if TYPE_CHECKING:
    from probe.verbs import Continuations


def generate(
    prompts: Prompts,
    texts: Texts = None,
    file: File = None,
    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", min=1, help="Longest continuation.")
    ] = 32,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="The model's input with {text} in it; {text} alone reads texts as they are. "
            "Default: the prompt's own, if it tells.",
        ),
    ] = None,
    model: Model = None,
    device: Device = None,
    dtype: Dtype = None,
    json: Json = False,
) -> None:
    """Continue texts, greedily, with the prompt in front; several prompts share a batch."""
    from probe import verbs

    result = verbs.generate(
        prompts,
        all_texts(texts, file),
        max_new_tokens=max_new_tokens,
        model=model,
        template=template,
        device=device,
        dtype=dtype,
    )
    if json:
        print_json(result.to_json())
    else:
        _print(result)


def _print(result: Continuations) -> None:
    grid = table("text", "prompt", "continuation")
    for one in result.continuations:
        grid.add_row(*map(cell, (one.text, one.prompt, one.output)))
    console().print(grid)
