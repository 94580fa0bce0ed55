"""Texts that prompts are constrained to: shipped sets and the user's files."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probe.datasets.rows import read_rows, read_text
from probe.errors import DataError
from probe.paths import PACKAGE, at_home
from probe.texts import did_you_mean, is_unicode

_SHIPPED = PACKAGE / "targets"
OWN = "text"
"""`text:WORDS` is a target in words, and of this kind."""


@dataclass(frozen=True)
class Target:
    """A text that a prompt is constrained to."""

    text: str
    kind: str
    """What sort of text it is: the name of its set, or true and contradictory for definitions."""
    task: str | None = None
    """The only task it is for; None: for every task."""


def target_sets() -> tuple[str, ...]:
    """Names of the sets that come with `probe`."""
    return tuple(sorted(path.stem for path in _SHIPPED.iterdir()))


def read_targets(source: str | Path) -> list[Target]:
    """The targets of a shipped set or of a file.

    Args:
        source: the name of a shipped set (instructions, web, definitions); text:WORDS, one text; a
            .txt with one text a line; a .jsonl whose lines hold `text` and may hold `kind` and
            `task`; or a .toml with a table for each task, from kind to text.

    Raises:
        DataError: there is no such set or file, or it cannot be read.
    """
    kind, _, words = str(source).partition(":")
    if kind == OWN and words.strip():
        return [Target(words.strip(), OWN)]
    path = next((p for p in _SHIPPED.iterdir() if p.stem == source), at_home(source))
    reader = _READERS.get(path.suffix)
    if reader is None or not path.is_file():
        raise DataError(
            f"targets {source}: expected one of {', '.join(target_sets())}, text:WORDS, or a file "
            f"that ends in {', '.join(_READERS)}{did_you_mean(str(source), target_sets())}"
        )
    found = reader(path)
    if not found:
        raise DataError(f"{path}: expected at least one text, found none")
    return list(dict.fromkeys(found))


def spread_over_lengths(
    targets: Sequence[Target], tokens: Callable[[str], int], most: int | None
) -> list[Target]:
    """At most so many targets, from the shortest to the longest in even steps; all when None.

    Args:
        targets: of one kind.
        tokens: counts the tokens of a text.
        most: how many are wanted.
    """
    ordered = sorted(targets, key=lambda target: (tokens(target.text), target.text))
    if most is None or most >= len(ordered):
        return ordered
    places = np.linspace(0, len(ordered) - 1, most).round().astype(int)
    return [ordered[place] for place in places]


def _lines(path: Path) -> list[Target]:
    texts = (line.strip() for line in read_text(path).split("\n"))
    return [Target(text, path.stem) for text in texts if text]


def _objects(path: Path) -> list[Target]:
    return [_target(row.values, path.stem, row.where) for row in read_rows(path)]


def _tables(path: Path) -> list[Target]:
    try:
        document = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path}: expected TOML ({error})") from error
    found = []
    for task, kinds in document.items():
        if not isinstance(kinds, dict):
            raise DataError(f"{path}, {task}: expected a table from kind to text, found {kinds!r}")
        for kind, text in kinds.items():
            found.append(_target({"text": text, "kind": kind, "task": task}, "", f"{path}, {task}"))
    return found


def _target(values: Mapping[str, object], kind: str, where: str) -> Target:
    if not set(values) <= {"text", "kind", "task"}:
        raise DataError(f"{where}: expected text and perhaps kind and task, found {values!r}")
    given: dict[str, Any] = {"kind": kind, **values}
    if not all(isinstance(part, str) and part.strip() for part in given.values()):
        raise DataError(f"{where}: expected texts that are not empty, found {values!r}")
    if "text" not in given:
        raise DataError(f"{where}: expected a text, found {values!r}")
    if not all(map(is_unicode, given.values())):
        raise DataError(
            f"{where}: expected text that UTF-8 can hold, found half of a character in {values!r}"
        )
    return Target(given["text"].strip(), given["kind"], given.get("task"))


_READERS: dict[str, Callable[[Path], list[Target]]] = {
    ".txt": _lines,
    ".jsonl": _objects,
    ".toml": _tables,
}
