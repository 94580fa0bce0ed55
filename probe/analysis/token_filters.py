"""Which tokens may be neighbours: filters by kind of token, or by a pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from probe.arrays import BoolArray
from probe.texts import did_you_mean
from probe.vocabulary import Vocabulary

_FILTERS = ("special", "byte", "unused", "words", "regex:")


def token_filter(vocabulary: Vocabulary, filters: Sequence[str]) -> BoolArray:
    """Which tokens may be neighbours, [V].

    Args:
        vocabulary: V tokens and their masks.
        filters: any of `special`, `byte`, `unused` (these are left out), `words` (only tokens that
            begin a word), `regex:PATTERN` (only tokens whose shown text matches somewhere).

    Raises:
        ValueError: a filter is unknown or its pattern is not a regular expression.
    """
    allowed = np.ones(len(vocabulary), dtype=bool)
    masks = vocabulary.masks
    for name in filters:
        if name in ("special", "byte", "unused"):
            allowed &= ~getattr(masks, name)
        elif name == "words":
            allowed &= masks.word_start
        elif name.startswith("regex:"):
            allowed &= _matches(vocabulary.tokens, name.removeprefix("regex:"))
        else:
            raise ValueError(
                f"unknown filter {name!r}: use special, byte, unused, words or regex:PATTERN"
                + did_you_mean(name, _FILTERS)
            )
    return allowed


def _matches(tokens: Sequence[str], pattern: str) -> BoolArray:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return np.fromiter((bool(compiled.search(t)) for t in tokens), dtype=bool, count=len(tokens))
