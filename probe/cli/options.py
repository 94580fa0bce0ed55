"""Options that several commands share, and what a wrong one is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from probe.cli.output import visible
from probe.errors import without_middle
from probe.texts import did_you_mean

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@dataclass(frozen=True)
class Figures:
    """A page of figures beside the answer."""

    html: Path | None = None
    """Also write the figures to this new file, to open anywhere."""


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


_CHOICES = re.compile(r"Value error, (?P<found>.*) is not one of (?P<known>.*)\.", re.DOTALL)


class Commands(TyperGroup):
    """The commands; typer's own usage errors are said in the words of all others."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options in front of the command."""
        with _explained():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Read the command's options and do it."""
        with _explained():
            return super().invoke(ctx)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except TyperException as error:
        possible = getattr(error, "possibilities", None)
        if possible is not None:
            error.message += did_you_mean(str(getattr(error, "option_name", "")), possible)
            vars(error)["possibilities"] = None  # they are said
        elif isinstance(error, typer.BadParameter):
            error.message = visible(without_middle(_value(error)))
        raise


def _value(error: typer.BadParameter) -> str:
    """The message about a value; pydantic's cause, if it is one, knows what was given."""
    if choice := _CHOICES.fullmatch(error.message):
        known = re.findall(r"'([^']*)'", choice["known"])
        found = choice["found"]
        return f"expected {_either(known)}, found {found}{did_you_mean(found[1:-1], known)}"
    errors = getattr(error.__cause__, "errors", None)
    if errors is None:
        return error.message
    first = errors()[0]
    said = error.message.removeprefix("Value error, ").rstrip(".").partition(", unable to")[0]
    said = said.replace("Input should be", "expected")
    return f"{said}, found {first.get('input')!r}"


def _either(known: list[str]) -> str:
    return " or ".join([", ".join(known[:-1]), known[-1]]) if len(known) > 1 else known[0]
