"""Small questions to a tokenizer that transformers answers differently from model to model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from probe.texts import require_unicode


def encode_batch(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts, without special tokens.

    Raises:
        ProbeError: a text holds half of a character.
    """
    if not texts:
        return []
    encoded = tokenizer(
        [require_unicode(text) for text in texts], add_special_tokens=False, verbose=False
    )
    return [list(ids) for ids in encoded["input_ids"]]


def special_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Special ids the model reads in front of a text and behind it."""
    bare = tokenizer("a", add_special_tokens=False, verbose=False)["input_ids"]
    full = tokenizer("a", verbose=False)["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return list(full[:start]), list(full[start + len(bare) :])
    return [], []


def end_ids(tokenizer: Any) -> list[int]:
    """The token that ends a text, where the tokenizer has one."""
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]


def shared_start(sequences: Sequence[Sequence[int]]) -> int:
    """Number of ids that all sequences begin with."""
    shortest = min(map(len, sequences))
    same = (len({ids[i] for ids in sequences}) == 1 for i in range(shortest))
    return next((i for i, equal in enumerate(same) if not equal), shortest)
