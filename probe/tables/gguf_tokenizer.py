"""A GGUF file's tokenizer as one `tokenizer.json` document.

The file holds the vocabulary under llama.cpp's names: token strings, what kind each is, merges or
scores, and the name of the way in which text is cut before merging.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.errors import ModelNotFoundError
from probe.tables.codec import TokenizersCodec
from probe.tables.gguf_splits import BYTE_LEVEL, IGNORES_MERGES, NORMALIZES, pre_tokenizer
from probe.tables.tokenizers_on_disk import NO_TOKENIZER, TokenizerFiles

_PREFIX = "tokenizer.ggml."
_UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 2, 3, 4, 5
_PADDING = re.compile(r"\[PAD\d+\]")
"""What llama.cpp's converter calls rows that have no token."""


@dataclass(frozen=True)
class GgufTokens:
    """The vocabulary as the file has it."""

    tokens: Sequence[str]
    kinds: Sequence[int]
    """One a token: 1 normal, 2 unknown, 3 control, 4 defined by the user, 5 unused, 6 byte."""
    fields: Mapping[str, Any]
    """The file's metadata below `tokenizer.ggml.`."""

    def id_of(self, role: str) -> int | None:
        """Row of `bos`, `eos`, `unknown`, `padding`, …; None where the file names none."""
        found = self.fields.get(f"{role}_token_id")
        return found if type(found) is int and 0 <= found < len(self.tokens) else None

    def asks_for(self, end: str, default: bool) -> bool:
        """Whether a text gets its `bos` or `eos` token."""
        return bool(self.fields.get(f"add_{end}_token", default)) and self.id_of(end) is not None

    def rows(self) -> dict[str, int]:
        """Row of every token string; padding left out, the first row of a string that repeats."""
        return {
            token: row
            for row, (token, kind) in reversed(
                [*enumerate(zip(self.tokens, self.kinds, strict=True))]
            )
            if not (kind == _UNUSED and _PADDING.fullmatch(token))
        }

    def added(self) -> list[dict[str, Any]]:
        """Tokens that are matched whole, in the layout of `tokenizer.json`."""
        whole = (_UNKNOWN, _CONTROL, _USER_DEFINED)
        return [
            {"id": row, "content": token, "special": kind != _USER_DEFINED}
            | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            for row, (token, kind) in enumerate(zip(self.tokens, self.kinds, strict=True))
            if kind in whole and token
        ]


def read_gguf_tokenizer(metadata: Mapping[str, Any], where: str) -> TokenizerFiles:
    """The tokenizer of a GGUF file; `NO_TOKENIZER` where it has none that is known.

    Raises:
        ModelNotFoundError: the tokenizer's parts contradict each other.
    """
    found = read_tokens(metadata, where)
    if found is None:
        return NO_TOKENIZER
    build = _BUILDERS.get(str(found.fields.get("model")))
    if build is None:
        return TokenizerFiles(_names_only(found), None, _digest(found.tokens))
    document = build(found)
    data = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return TokenizerFiles(
        document, TokenizersCodec(data, where), hashlib.sha256(data).hexdigest(), data
    )


def read_tokens(metadata: Mapping[str, Any], where: str) -> GgufTokens | None:
    """The vocabulary's strings and kinds; None where the file has none.

    Raises:
        ModelNotFoundError: the kinds are of other number than the tokens.
    """
    fields = {k.removeprefix(_PREFIX): v for k, v in metadata.items() if k.startswith(_PREFIX)}
    tokens, kinds = fields.get("tokens"), fields.get("token_type")
    if not isinstance(tokens, list) or not tokens:
        return None
    kinds = kinds.tolist() if isinstance(kinds, np.ndarray) else [1] * len(tokens)
    if len(kinds) != len(tokens):
        raise ModelNotFoundError(
            f"{where}: its GGUF file has {len(tokens)} tokens and {len(kinds)} kinds of tokens: "
            "fetch it again"
        )
    return GgufTokens(tokens, kinds, fields)


def _names_only(found: GgufTokens) -> dict[str, Any]:
    """A document that names rows, for tokenizers that cannot be rebuilt."""
    return {"model": {"type": "WordLevel", "vocab": found.rows()}, "added_tokens": found.added()}


def _byte_level(found: GgufTokens) -> dict[str, Any]:
    """GPT-2's byte-level BPE: text cut by patterns, bytes spelled in its alphabet, merges."""
    kind = str(found.fields.get("pre", "default"))
    rows = found.rows()
    merges = found.fields.get("merges")
    pairs = [merge.split(" ") for merge in merges] if isinstance(merges, list) else []
    return {
        "version": "1.0",
        "added_tokens": found.added(),
        "normalizer": {"type": "NFC"} if kind in NORMALIZES else None,
        "pre_tokenizer": pre_tokenizer(kind),
        "post_processor": _around(found, bos=kind in IGNORES_MERGES, eos=False),
        "decoder": BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "unk_token": None,
            "byte_fallback": False,
            "ignore_merges": kind in IGNORES_MERGES,
            "vocab": rows,
            "merges": [
                pair
                for pair in pairs
                if len(pair) == 2
                and pair[0] + pair[1] in rows
                and pair[0] in rows
                and pair[1] in rows
            ],
        },
    }


def _around(found: GgufTokens, *, bos: bool, eos: bool) -> dict[str, Any] | None:
    """What puts special tokens around a text.

    Args:
        found: the vocabulary.
        bos: whether one stands before a text where the file does not say.
        eos: whether one stands after it.
    """
    first = found.id_of("bos") if found.asks_for("bos", bos) else None
    last = found.id_of("eos") if found.asks_for("eos", eos) else None
    ends = [row for row in (first, last) if row is not None]
    if not ends:
        return None
    names = {row: found.tokens[row] for row in ends}
    special = {row: {"SpecialToken": {"id": names[row], "type_id": 0}} for row in ends}

    def template(sequence: str) -> list[dict[str, Any]]:
        text = {"Sequence": {"id": sequence, "type_id": 0}}
        return [
            *([] if first is None else [special[first]]),
            text,
            *([] if last is None else [special[last]]),
        ]

    return {
        "type": "TemplateProcessing",
        "single": template("A"),
        "pair": template("A") + template("B"),
        "special_tokens": {
            name: {"id": name, "ids": [row], "tokens": [name]} for row, name in names.items()
        },
    }


def _digest(tokens: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(tokens).encode("utf-8", "replace")).hexdigest()


_BUILDERS: Mapping[str, Callable[[GgufTokens], dict[str, Any]]] = {"gpt2": _byte_level}
