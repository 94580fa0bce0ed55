"""How a request is written down and read again: as a command line, and as a JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from probe.errors import DataError
from probe.live import IN_MEMORY, LiveModel, LivePrompt
from probe.requests.base import Field, Request, RequestError, fields_of, options_of

Q = TypeVar("Q", bound=Request)
_JSON = (str, int, float, bool, type(None))


def command_of(request: Request, command: str) -> tuple[str, ...]:
    """The command line that asks for the same; what is at its default is left out.

    Args:
        request: of names and places.
        command: such as `evaluate`, or `runs resume`.

    Raises:
        RequestError: it asks about objects in memory, which have no words.
    """
    placed: list[str] = []
    named: list[str] = []
    inner: list[str] = []
    for field in options_of(type(request)):
        value = getattr(request, field.name)
        for one in value if field.several else (value,):
            require_named(field.name, one)
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


def require_named(name: str, value: object) -> None:
    """Refuse an object in memory where a command line or a document needs a name.

    Raises:
        RequestError: it is one.
    """
    if is_dataclass(value) or (isinstance(value, str) and IN_MEMORY in value):
        raise RequestError(
            f"{name} is an object in memory ({_called(value)}), which no command line or document "
            "can name: save it, and give its name or place",
            name,
        )


def _called(value: object) -> str:
    known = isinstance(value, str | LiveModel | LivePrompt)
    return str(value) if known else type(value).__name__


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
        each = (",".join(map(_number, each)),)
    return [word for one in each for word in written(field.flag, one)]


def _number(number: float) -> str:
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


def to_document(request: Request) -> dict[str, Any]:
    """All that is asked, as JSON; the workspace is not part of it.

    Raises:
        RequestError: an object stands where a document needs a name or a place.
    """
    return {
        field.name: _plain(getattr(request, field.name), field.name)
        for field in options_of(type(request))
    }


def from_document(request: type[Q], document: Mapping[str, Any]) -> Q:
    """The request that a document describes.

    Raises:
        DataError: a field is unknown, missing or of another type.
        RequestError: a value is out of its range.
    """
    from pydantic import TypeAdapter, ValidationError

    known = {field.name for field in options_of(request)}
    if unknown := sorted(set(document) - known):
        raise DataError(f"expected the fields of {request.__name__}, found also {unknown[0]!r}")
    try:
        return TypeAdapter(request).validate_python(dict(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{where}: {first['msg']}, found {first['input']!r}") from error


def schema_of(request: type[Request]) -> dict[str, Any]:
    """The JSON Schema of a request's documents."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(request).json_schema()
    fields = {field.name: field for field in options_of(request)}
    written = schema["properties"]
    properties = {name: written[name] | {"description": fields[name].help} for name in fields}
    return schema | {"properties": properties, "additionalProperties": False}


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(one, name) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one, name) for key, one in value.items()}
    if not isinstance(value, _JSON):
        require_named(name, value)
        raise RequestError(
            f"{name} must be a name or a place to be written down, found {type(value).__name__}",
            name,
        )
    return value
