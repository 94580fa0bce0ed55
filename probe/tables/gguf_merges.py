"""Merges of a SentencePiece vocabulary, which a GGUF file leaves to be told from its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from probe.errors import ModelNotFoundError

MAX_CHARACTERS = 1 << 24
"""Longest vocabulary that is taken apart: Gemma's has some 2 million characters."""
_MAX_TOKEN = 256
"""Longest token that merges are looked for; SentencePiece makes none beyond 16 letters."""


def merges_by_rank(
    pieces: Mapping[str, int], rank: Sequence[float], where: str
) -> list[tuple[str, str]]:
    """Every way in which two tokens make a third, best first.

    SentencePiece merges whichever neighbours make the token of the highest score; byte-pair
    encoding by an ordered list does the same.

    Args:
        pieces: the tokens that text is made of, and their rows.
        rank: [V] score of every row: the higher, the earlier it is merged.
        where: the model as errors name it.

    Raises:
        ModelNotFoundError: the tokens have too many letters to be a vocabulary.
    """
    if sum(map(len, pieces)) > MAX_CHARACTERS:
        raise ModelNotFoundError(
            f"{where}: its vocabulary has more than {MAX_CHARACTERS} letters, expected a tokenizer "
            "of words and parts of words: fetch the file again"
        )
    found = [
        (rank[row], len(left), len(right), left, right)
        for token, row in pieces.items()
        for left, right in sorted(
            _halves(token, pieces), key=lambda h: (pieces[h[0]], pieces[h[1]])
        )
    ]
    found.sort(key=lambda merge: merge[:3], reverse=True)
    return [merge[3:] for merge in found]


def _halves(token: str, pieces: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    if len(token) > _MAX_TOKEN:
        return
    for at in range(1, len(token)):
        if token[:at] in pieces and token[at:] in pieces:
            yield token[:at], token[at:]
