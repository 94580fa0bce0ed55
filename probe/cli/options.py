"""Options that several commands share, spelled once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a verb's complaint about an argument's value into a usage error."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@dataclass(frozen=True)
class Watched:
    """How a run that is started is shown."""

    detach: bool = False
    """Leave the run to itself at once; `probe runs` finds it."""
    json: bool = False
    """Print JSON lines, one per step, and nothing else."""
