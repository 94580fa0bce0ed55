"""What a wrong option or value is answered: expected, found, and what may have been meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from probe.cli.output import visible
from probe.suggestions import did_you_mean

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
            error.message = visible(_value(error))
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
