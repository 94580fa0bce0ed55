"""`probe convert`: a prompt in another layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from probe.cli.names import named_in
from probe.cli.options import Json, Prompt
from probe.cli.output import console, print_json, visible
from probe.formats.registry import WRITTEN, writable_formats


def convert(
    prompt: Prompt,
    dest: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new file, or a new folder for peft.")
    ],
    to: Annotated[
        str,
        typer.Option("--to", help="Layout to write.", **named_in(WRITTEN, writable_formats)),
    ],
    json: Json = False,
) -> None:
    """Write a prompt in another layout. Nothing is overwritten."""
    from probe import verbs

    loaded = verbs.load_one(prompt)
    path = verbs.convert(loaded, dest, to=to)
    described = verbs.describe(loaded)
    written = {"prompt": loaded.name, "to": to, "path": str(path), "shape": described["shape"]}
    if json:
        print_json(written)
    else:
        shape = " × ".join(map(str, described["shape"]))
        out = console()
        out.print(visible(f"wrote {loaded.name} ({shape}) to {path} as {to}"), soft_wrap=True)
