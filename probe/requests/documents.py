"""Requests as JSON documents, checked when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from probe.errors import DataError
from probe.requests.base import Request, RequestError, options_of
from probe.requests.command_line import require_named

Q = TypeVar("Q", bound=Request)
_PLAIN = (str, int, float, bool, type(None))


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
    if not isinstance(value, _PLAIN):
        require_named(name, value)
        raise RequestError(
            f"{name} must be a name or a place to be written down, found {type(value).__name__}",
            name,
        )
    return value
