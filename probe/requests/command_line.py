"""How a request is written on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probe.requests.base import Field, Request, fields_of, options_of


def command_of(request: Request, command: str) -> tuple[str, ...]:
    """The command line that asks for the same; what is at its default is left out.

    Args:
        request: of names and places; objects in memory have no words.
        command: such as `evaluate`, or `runs resume`.
    """
    placed: list[str] = []
    named: list[str] = []
    inner: list[str] = []
    for field in options_of(type(request)):
        value = getattr(request, field.name)
        if value == field.default:
            continue
        if field.option.positional:
            placed += [str(one) for one in (value if field.several else (value,))]
        elif field.option.fields_of is not None:
            inner += _inner(field, value)
        else:
            named += _options(field, value)
    words = ("probe", *command.split())
    if any(word.startswith("-") for word in placed):
        return (*words, *named, *inner, "--", *placed)
    return (*words, *placed, *named, *inner)


def written(flag: str, value: object) -> list[str]:
    """An option with its value, one word or two; nothing where the value is None."""
    if value is None:
        return []
    text = "|".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    # A value that begins with a dash would be read as an option.
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _options(field: Field, value: Any) -> list[str]:
    if field.kind is bool:
        return [field.flag if value else _opposite(field)]
    each = value if field.several else (value,)
    if field.several and field.kind in (int, float):
        each = (",".join(map(_plain, each)),)
    return [word for one in each for word in written(field.flag, one)]


def _plain(number: float) -> str:
    """A number as people write it: 10, not 10.0."""
    return str(int(number)) if float(number).is_integer() else str(number)


def _opposite(field: Field) -> str:
    """The flag that says no."""
    _, _, no = (field.option.flag or "").partition("/")
    return no or f"--no-{field.flag.removeprefix('--')}"


def _inner(whole: Field, given: Mapping[str, Any]) -> list[str]:
    assert whole.option.fields_of is not None
    known = {one.name: one for one in fields_of(whole.option.fields_of)}
    found: list[str] = []
    for name, value in given.items():
        found += (
            written(known[name].flag, "none") if value is None else _options(known[name], value)
        )
    return found
