"""Mixture: the text that rows trained as mixtures of tokens have narrowed to."""

from __future__ import annotations

from typing import Any

from probe.errors import NotDecodableError
from probe.readings.reading import Reading, RowTokens, Subject


def read_mixture(subject: Subject) -> Reading:
    """The heaviest token of every row, in order, with its weight: what the file says of training.

    Raises:
        NotDecodableError: the prompt was not trained as mixtures, or on another vocabulary.
    """
    prompt, vocabulary = subject.prompt, subject.vocabulary
    ids: Any
    weights: Any
    ids, weights = (prompt.config.get(key) for key in ("mixture_token_ids", "mixture_weights"))
    if ids is None:
        raise NotDecodableError(
            f"{prompt.name}: its rows were not trained as mixtures of tokens; "
            "`probe train --method mixture` does so"
        )
    if not (_numbers(ids, len(prompt), int) and _numbers(weights, len(prompt), int | float)):
        raise NotDecodableError(
            f"{prompt.name}: expected a token and a weight of each of {len(prompt)} rows, found "
            "something else in its file"
        )
    if not all(0 <= one < len(vocabulary) for one in ids):
        raise NotDecodableError(
            f"{prompt.name} is a mixture of tokens that {vocabulary.name} does not have: name the "
            "base model it was trained on"
        )
    tokens = subject.tokens(ids, weights)
    return Reading(
        "mixture",
        tokens=tokens,
        text=vocabulary.decode(ids) if vocabulary.codec else "".join(one.token for one in tokens),
        prose=True,
        rows=tuple(RowTokens(position, (one,)) for position, one in enumerate(tokens)),
    )


def _numbers(found: object, count: int, kind: Any) -> bool:
    return (
        isinstance(found, list | tuple)
        and len(found) == count
        and all(isinstance(one, kind) and not isinstance(one, bool) for one in found)
    )
