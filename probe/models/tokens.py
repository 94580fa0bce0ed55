"""Small questions to a tokenizer, and where texts are cut that are longer than a model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from probe.models.rows import Row
from probe.notes import note
from probe.texts import counted, require_unicode


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


def cut_values(
    values: Mapping[str, str], ends: Mapping[str, Sequence[int]], excess: int
) -> dict[str, str]:
    """Values without their last tokens, so many in all or a few more; the longest is cut first.

    Args:
        values: texts by column.
        ends: of each, the characters up to the end of every token, [T].
        excess: tokens to lose, 1 or more.
    """
    kept = max(map(len, ends.values()))
    while kept and sum(max(0, len(own) - kept) for own in ends.values()) < excess:
        kept -= 1
    return {name: _cut(value, ends[name], kept) for name, value in values.items()}


def note_cuts(rows: Sequence[Row], what: str, room: int) -> None:
    """Say how many texts were cut, and by how much.

    Args:
        rows: of all texts.
        what: they are called.
        room: positions the model has beside the prompt.
    """
    lost = sorted(row.cut for row in rows if row.cut)
    if not lost:
        return
    much = f"{lost[0]:,} to {lost[-1]:,} tokens each"
    if lost[0] == lost[-1]:
        much = counted(lost[0], "token") + " each" * (len(lost) > 1)
    do, ends = ("does", "its end is") if len(lost) == 1 else ("do", "their ends are")
    note(
        f"{len(lost):,} of {counted(len(rows), what.removesuffix('s'))} {do} not fit the "
        f"{counted(room, 'position')} beside the prompt: {ends} cut, {much}"
    )


def _cut(value: str, ends: Sequence[int], kept: int) -> str:
    if len(ends) <= kept:
        return value
    # A character of several byte tokens may end where the whole text does: always lose one.
    return value[: min(ends[kept - 1], len(value) - 1)] if kept else ""
