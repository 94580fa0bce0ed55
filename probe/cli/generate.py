"""`probe generate`: what the model writes behind a text under a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.asking_options import (
    Device,
    Dtype,
    File,
    SomePrompts,
    TextColumn,
    Texts,
    require_prompts,
    require_texts,
)
from probe.cli.options import Json, Model
from probe.cli.output import cell, console, print_json, table

if TYPE_CHECKING:
    from probe.verbs import Continuations


def generate(
    prompts: SomePrompts = None,
    texts: Texts = None,
    file: File = None,
    text_column: TextColumn = None,
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

    require_texts(texts, file)
    require_prompts(prompts, file)
    result = verbs.generate(
        prompts or (),
        texts or (),
        file=file,
        text_column=text_column,
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
