"""JSON and YAML, bounded in size and nesting before they are parsed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from probe.errors import PromptFormatError
from probe.formats.containers.limits import (
    MAX_DOCUMENT_BYTES,
    MAX_DOCUMENT_PARTS,
    MAX_NESTING,
    MAX_YAML_BYTES,
)

_MAX_DIGITS = 40
# A text may end with the document, so that one without a closing quote is passed over only once.
# Possessive quantifiers keep no way back, which would take memory for every escape.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_CONSTANTS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", "+.inf"), math.inf),
    "-.inf": -math.inf,
    ".nan": math.nan,
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,4})?")


def read_json(data: bytes) -> object:
    """The value of a UTF-8 JSON document.

    Raises:
        PromptFormatError: it is no JSON, too large or nested too deeply.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise PromptFormatError(
            f"JSON: expected at most {MAX_DOCUMENT_BYTES:,} bytes, found {len(data):,}"
        )
    _require_shallow(data)
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_int=_integer)
        if b"\\u" in data:  # half of a pair could be stored, but never printed
            _require_printable(value)
    except UnicodeError as error:
        raise PromptFormatError(f"JSON: expected UTF-8 text ({error})") from error
    except (ValueError, RecursionError) as error:
        raise PromptFormatError(f"JSON: damaged or cut short ({error})") from error
    return value


def _require_shallow(data: bytes) -> None:
    depth = 0
    for parts, token in enumerate(_TOKEN.finditer(data)):
        first = data[token.start()]
        depth += (first in b"[{") - (first in b"]}")
        if depth > MAX_NESTING:
            raise PromptFormatError(f"JSON: nested more than {MAX_NESTING} levels deep")
        if parts > MAX_DOCUMENT_PARTS:
            raise PromptFormatError(f"JSON: more than {MAX_DOCUMENT_PARTS:,} parts")


def _require_printable(value: object) -> None:
    left = [value]
    while left:
        match left.pop():
            case str(text):
                text.encode()
            case list(items):
                left += items
            case dict(items):
                left += [*items.keys(), *items.values()]


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise PromptFormatError(f"JSON: a number of {len(digits)} digits")
    return int(digits)


def read_yaml(data: bytes) -> object:
    """The value of a YAML document: containers, texts, numbers, True, False and None.

    Raises:
        PromptFormatError: it is no YAML, too large, nested too deeply, or uses aliases or tags.
    """
    import yaml  # type: ignore[import-untyped]

    if len(data) > MAX_YAML_BYTES:
        raise PromptFormatError(
            f"YAML: expected at most {MAX_YAML_BYTES:,} bytes, found {len(data):,}"
        )
    try:
        value = _from_events(yaml.parse(data.decode("utf-8-sig"), Loader=yaml.SafeLoader))
        _require_printable(value)
    except UnicodeError as error:
        raise PromptFormatError(f"YAML: expected UTF-8 text ({error})") from error
    except (yaml.YAMLError, ValueError) as error:
        raise PromptFormatError(f"YAML: damaged ({error})") from error
    return value


def _from_events(events: Iterable[Any]) -> object:
    """Build the document's value without recursion, and without aliases, which can explode."""
    stack: list[list[Any]] = [[]]
    kinds: list[str] = []
    for event in events:
        match type(event).__name__:
            case "ScalarEvent":
                stack[-1].append(_scalar(event.value) if event.implicit[0] else event.value)
            case "SequenceStartEvent" | "MappingStartEvent" as kind:
                stack.append([])
                kinds.append(kind)
            case "SequenceEndEvent" | "MappingEndEvent":
                items = stack.pop()
                stack[-1].append(items if kinds.pop()[0] == "S" else _mapping(items))
            case "AliasEvent":
                raise PromptFormatError("YAML: expected a document without aliases (*name)")
        if len(kinds) > MAX_NESTING:
            raise PromptFormatError(f"YAML: nested more than {MAX_NESTING} levels deep")
    if len(stack[0]) > 1:
        raise PromptFormatError(f"YAML: expected one document, found {len(stack[0])}")
    return stack[0][0] if stack[0] else None


def _mapping(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if any(isinstance(key, list | dict) for key in keys):
        raise PromptFormatError("YAML: expected texts or numbers as keys")
    return dict(zip(keys, items[1::2], strict=True))


def _scalar(text: str) -> object:
    """A plain scalar in the core schema of YAML 1.2."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
