"""A GGUF file's vocabulary as the file has it: token strings, kinds, special roles, and merges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.errors import ModelNotFoundError
from probe.tables.documents import added_token
from probe.texts import counted

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""llama.cpp's numbers for kinds of tokens."""

_PREFIX = "tokenizer.ggml."
_ROLES = ("bos", "eos", "padding", "seperator", "mask", "cls", "eot")
_PADDING = re.compile(r"\[PAD\d+\]")
"""What llama.cpp's converter calls rows that have no token."""
_DEFAULT_ROWS: Mapping[str, Mapping[str, int]] = {
    "llama": {"bos": 1, "eos": 2, "unknown": 0},
    "bert": {"bos": 101, "seperator": 102, "unknown": 100, "padding": 0, "mask": 103},
    "t5": {"eos": 1, "unknown": 2, "padding": 0},
}
"""Rows of special tokens where a file names none, as llama.cpp has them."""


@dataclass(frozen=True)
class GgufTokens:
    """The vocabulary of one file."""

    tokens: Sequence[str]
    kinds: Sequence[int]
    fields: Mapping[str, Any]
    """The file's metadata below `tokenizer.ggml.`."""
    architecture: str

    @property
    def model(self) -> str:
        """The kind of tokenizer: `gpt2`, `llama`, `bert`, `t5`."""
        return str(self.fields.get("model", ""))

    def id_of(self, role: str) -> int | None:
        """Row of `bos`, `eos`, `unknown`, `padding`, `seperator` (so spelled); None without one."""
        default = _DEFAULT_ROWS.get(self.model, {}).get(role)
        found = self.fields.get(f"{role}_token_id", default)
        return found if type(found) is int and 0 <= found < len(self.tokens) else None

    def token_of(self, role: str) -> str | None:
        """The token of a role."""
        row = self.id_of(role)
        return None if row is None else self.tokens[row]

    def end(self, role: str, *, default: bool) -> int | None:
        """Row of the `bos` or `eos` token that is put at the end of a text; None where none is."""
        return self.id_of(role) if self.fields.get(f"add_{role}_token", default) else None

    def is_padding(self, row: int) -> bool:
        """Whether a row only fills the table up."""
        return self.kinds[row] == UNUSED and _PADDING.fullmatch(self.tokens[row]) is not None

    def rows(self) -> dict[str, int]:
        """Row of every token but padding; the first row of a string that repeats."""
        named = [row for row in range(len(self.tokens)) if not self.is_padding(row)]
        return {self.tokens[row]: row for row in reversed(named)}

    def added(self) -> list[dict[str, Any]]:
        """Tokens that are matched whole in a text, in the layout of `tokenizer.json`."""
        whole = (UNKNOWN, CONTROL, USER_DEFINED)
        return [
            added_token(row, token, special=kind != USER_DEFINED)
            for row, (token, kind) in enumerate(zip(self.tokens, self.kinds, strict=True))
            if kind in whole and token
        ]


def read_tokens(metadata: Mapping[str, Any], where: str) -> GgufTokens | None:
    """The vocabulary of a file; None where it has none.

    Raises:
        ModelNotFoundError: there are more or fewer kinds than tokens.
    """
    fields = {k.removeprefix(_PREFIX): v for k, v in metadata.items() if k.startswith(_PREFIX)}
    tokens, kinds = fields.get("tokens"), fields.get("token_type")
    if not isinstance(tokens, list) or not tokens:
        return None
    kinds = kinds.tolist() if isinstance(kinds, np.ndarray) else _kinds_by_role(tokens, fields)
    if len(kinds) != len(tokens):
        raise ModelNotFoundError(
            f"{where}: its GGUF file has {counted(len(tokens), 'token')} and {len(kinds)} kinds of "
            "tokens: fetch it again"
        )
    if fields.get("model") == "llama" and BYTE not in kinds:
        kinds = _with_bytes(tokens, kinds)
    return GgufTokens(tokens, kinds, fields, str(metadata.get("general.architecture", "")))


def _kinds_by_role(tokens: Sequence[str], fields: Mapping[str, Any]) -> list[int]:
    """Kinds of tokens where a file does not say: those with a role are no text."""
    found = GgufTokens(tokens, [NORMAL] * len(tokens), fields, "")
    kinds = dict.fromkeys(map(found.id_of, _ROLES), CONTROL) | {found.id_of("unknown"): UNKNOWN}
    return [kinds.get(row, NORMAL) for row in range(len(tokens))]


def _with_bytes(tokens: Sequence[str], kinds: Sequence[int]) -> list[int]:
    """Bytes told by their spelling, as llama.cpp finds them, where a file calls them normal."""
    spelled = {f"<0x{byte:02X}>" for byte in range(256)}
    if not spelled <= set(tokens):
        return list(kinds)
    return [
        BYTE if token in spelled and kind == NORMAL else kind
        for token, kind in zip(tokens, kinds, strict=True)
    ]


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
