"""`probe generate`: what the model writes behind a text under a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.options import Json
from probe.cli.output import cell, console, print_json, table
from probe.cli.requests import takes_requests
from probe.requests import GenerateRequest

if TYPE_CHECKING:
    from probe.verbs import Continuations


@takes_requests
def generate(asked: GenerateRequest, json: Json = False) -> None:
    """Continue texts, greedily, with the prompt in front; several prompts share a batch."""
    from probe import verbs

    result = verbs.generate(asked)
    if json:
        print_json(result.to_json())
    else:
        _print(result)


def _print(result: Continuations) -> None:
    grid = table("text", "prompt", "continuation")
    for one in result.continuations:
        grid.add_row(*map(cell, (one.text, one.prompt, one.output)))
    console().print(grid)
