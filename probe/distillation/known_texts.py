"""Known texts: what prompts are distilled from whose readings are to be judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from probe.errors import DataError
from probe.template import first_slot
from probe.texts import is_unicode

_SHIPPED = Path(__file__).parent / "texts.jsonl"
_LINE = 'an object such as {"text": "Talk like a pirate.", "words": ["pirate"]}'


@dataclass(frozen=True)
class KnownText:
    """A text, and the words by which a reading of its prompt names it."""

    text: str
    words: tuple[str, ...]
    """Content words."""
    kind: str = "text"
    """What sort of text it is."""


def read_known_texts(path: Path | None = None) -> list[KnownText]:
    """The texts of a JSON-lines file with `text`, `words` and perhaps `kind`.

    Args:
        path: of the file; the texts that come with `probe` when None.

    Raises:
        DataError: the file cannot be read, a line is none of these, or fewer than two texts differ.
    """
    path = _SHIPPED if path is None else path
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: expected a JSON-lines file of texts with their content words ({error})"
        ) from error
    found = [
        _known_text(line, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    texts = {one.text for one in found}
    if len(texts) < 2:
        raise DataError(
            f"{path}: expected two or more different texts, to tell them apart, found {len(texts)}"
        )
    if len(texts) < len(found):
        twice = next(text for text in texts if sum(one.text == text for one in found) > 1)
        raise DataError(f"{path}: expected every text once, found {twice!r} several times")
    return found


def spread(texts: Sequence[KnownText], limit: int | None) -> list[KnownText]:
    """At most so many texts, from all over the list, in their order; all when None."""
    if limit is None or limit >= len(texts):
        return list(texts)
    return [texts[i] for i in np.linspace(0, len(texts) - 1, limit).round().astype(int)]


def _known_text(line: str, where: str) -> KnownText:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: expected {_LINE} ({error})") from error
    if not isinstance(values, dict):
        raise DataError(f"{where}: expected {_LINE}, found {line.strip()[:60]!r}")
    text, words, kind = (values.get(key) for key in ("text", "words", "kind"))
    if not (isinstance(text, str) and text.strip()):
        raise DataError(f"{where}: expected {_LINE}, found no text")
    if not (isinstance(words, list) and words and all(map(_is_word, words))):
        raise DataError(f"{where}: expected {_LINE}, found no list of content words")
    if not (kind is None or _is_word(kind)):
        raise DataError(f"{where}: expected a kind in words, found {kind!r}")
    if not all(map(is_unicode, (text, *words))):
        raise DataError(f"{where}: expected text that UTF-8 can hold, found half of a character")
    if (slot := first_slot(text)) is not None:
        raise DataError(f"{where}: expected a text to distil without {slot}, found {text!r}")
    return KnownText(text.strip(), tuple(words), kind or "text")


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
