"""`--serve`: every line of standard input is a question, answered by one line of JSON."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from probe.cli.output import one_line
from probe.errors import DataError, is_failure
from probe.texts import as_json, is_unicode

if TYPE_CHECKING:
    from probe.results import Result

_KEPT_MODELS = 1
"""Base models that stay in memory between lines."""


def answer_lines(ask: Callable[[str], Result]) -> None:
    """Answer until the input ends; what fails is a line `{"error": …}`, and the next is read."""
    from probe.models import keep_models

    keep_models(_KEPT_MODELS)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        for line in sys.stdin:
            answer = _answer(ask, line.removesuffix("\n"))
            sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
            sys.stdout.flush()
    finally:
        keep_models(0)


def _answer(ask: Callable[[str], Result], line: str) -> object:
    try:
        if not is_unicode(line):
            raise DataError("expected a line in UTF-8, found other bytes")
        if not line.strip():
            raise DataError("expected a question, found an empty line")
        return ask(line).to_json()
    except BaseException as error:
        if not is_failure(error):
            raise
        return as_json({"error": one_line(error)})


def text_or_row(line: str) -> str | dict[str, Any]:
    """A text; of a JSON object its columns, one of which may be a text of many lines.

    Raises:
        DataError: the line begins as an object and is none.
    """
    if not line.lstrip().startswith("{"):
        return line
    try:
        row: dict[str, Any] = json.loads(line)
        return row
    except ValueError as error:
        raise DataError(f"expected a text or a JSON object, found a broken one: {error}") from error
