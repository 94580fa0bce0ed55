"""Options that several commands share, spelled once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from probe.cli.completion import complete_model, complete_prompt

PROMPT_HELP = (
    "A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or "
    "NAME@VERSION), a sample prompt, or a hub id."
)

Prompt = Annotated[
    str, typer.Argument(metavar="PROMPT", help=PROMPT_HELP, autocompletion=complete_prompt)
]
Prompts = Annotated[
    list[str], typer.Argument(metavar="PROMPT...", help=PROMPT_HELP, autocompletion=complete_prompt)
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Base model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. "
        "Default: the prompt's own.",
        autocompletion=complete_model,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a verb's complaint about an argument's value into a usage error."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
