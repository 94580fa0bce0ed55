r"""Tokens as people see them, and what kind each is, from a `tokenizer.json` document.

What is shown is exact: two tokens never look alike. A space is `␣`, a newline `⏎`, a tab `⇥`;
bytes that are no text by themselves are `\xe2\x80`; characters that would be invisible, move the
cursor or turn the reading direction are `\u202e`; a literal `␣`, or a backslash before `x`, `u` or
`U`, is written by its number, so that no escape can be forged. Rows without a token are
`<row 32110>`, and a later row that would repeat an earlier one's text ends in its own number,
`␣␣⟨50276⟩`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from probe.arrays import BoolArray
from probe.texts import code_point
from probe.vocabulary import TokenMasks

Spelling = Literal["bytes", "spaces", "wordpiece", "whole"]
"""How token strings spell text: GPT-2's byte alphabet, `▁` for a space, `##` for a continuation,
or as they are."""


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte (Radford et al. 2019, `bytes_to_unicode`)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in kept]
    return {chr(b): b for b in kept} | {chr(256 + i): b for i, b in enumerate(moved)}


BYTE_OF = _byte_alphabet()
"""The byte that each character of the alphabet stands for."""
# Printable by Unicode's rules, yet drawn as nothing: fillers, variation selectors, blank braille.
_INVISIBLE = (
    *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
)
_SPACE = {"bytes": "Ġ", "spaces": "▁"}
_MARKS = {" ": "␣", "\n": "⏎", "\t": "⇥"}
_SHOWN = str.maketrans(
    _MARKS | {mark: code_point(mark) for mark in (*_MARKS.values(), *map(chr, _INVISIBLE))}
)
_FORGED_ESCAPE = re.compile(r"\\(?=[xuU])")
_BYTE_PIECE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_LONE_BYTE = re.compile("[\udc80-\udcff]")
_SENTINEL = re.compile(r"▁?<extra_id_\d+>")
# Placeholders that model makers leave for later: BERT, Gemma, Llama 3, Mistral, Phi 3, fairseq.
_UNUSED = re.compile(
    r"\[unused\d+\]|<unused_?\d+>|<\|reserved_special_token_\d+\|>|<SPECIAL_\d+>|\[control_\d+\]"
    r"|<\|(?:placeholder|dummy_|extra_)\d+\|>|madeupword\d+|\[PAD\d+\]"
)


@dataclass(frozen=True)
class Pieces:
    """The rows a tokenizer names, as its file spells them."""

    spelling: Spelling
    text: Mapping[int, str]
    """Row → token string."""
    literal: Mapping[int, bool] = field(default_factory=dict)
    """Rows listed as added tokens, spelled as plain text; True where the file says special."""
    outside_model: frozenset[int] = frozenset()
    """Added rows that the trained model itself does not have."""
    unknown: int | None = None
    """The row that stands for unknown text."""
    continuation: str = "##"
    """What WordPiece puts before a token that continues a word."""
    word_end: str = ""
    """What CLIP and GPT-1 put behind a token that ends a word; empty for the others."""


def read_pieces(document: Mapping[str, Any], rows: int) -> Pieces:
    """The tokens of a `tokenizer.json` that have one of the table's V rows.

    Args:
        document: the parsed file; parts of unexpected types count as absent.
        rows: V. The tokenizer may name fewer rows or more.
    """
    model = _mapping(document.get("model"))
    entries = model.get("vocab")
    if isinstance(entries, list):  # Unigram: [token, score], row = position
        first = (e[0] if isinstance(e, list) and e else None for e in entries[:rows])
        text = {row: token for row, token in enumerate(first) if isinstance(token, str)}
    else:
        named = _mapping(entries).items()
        text = {row: token for token, row in named if type(row) is int and 0 <= row < rows}
    literal, outside = {}, set()
    for entry in map(_mapping, _items(document.get("added_tokens"))):
        row, content = entry.get("id"), entry.get("content")
        if type(row) is int and 0 <= row < rows and isinstance(content, str):
            literal[row] = entry.get("special") is True
            if row not in text:
                outside.add(row)
            text[row] = content
    prefix, suffix = (model.get(key) for key in ("continuing_subword_prefix", "end_of_word_suffix"))
    return Pieces(
        _spelling(document, model),
        text,
        literal,
        frozenset(outside),
        _unknown(model, text),
        prefix if isinstance(prefix, str) and prefix else "##",
        suffix if isinstance(suffix, str) else "",
    )


def _spelling(document: Mapping[str, Any], model: Mapping[str, Any]) -> Spelling:
    if spelled_in_bytes(document):
        return "bytes"
    if model.get("type") in ("BPE", "Unigram"):
        return "whole" if model.get("end_of_word_suffix") else "spaces"
    return "wordpiece" if model.get("type") == "WordPiece" else "whole"


def spelled_in_bytes(document: Mapping[str, Any]) -> bool:
    """Whether a `tokenizer.json` spells its tokens in GPT-2's byte alphabet."""
    parts = (document.get("pre_tokenizer"), document.get("decoder"))
    return any(kind == "ByteLevel" for part in parts for kind in _component_types(part))


def _component_types(part: object, depth: int = 4) -> Iterator[object]:
    component = _mapping(part)
    yield component.get("type")
    for key in ("pretokenizers", "decoders"):
        for inner in _items(component.get(key)) if depth else ():
            yield from _component_types(inner, depth - 1)


def _unknown(model: Mapping[str, Any], text: Mapping[int, str]) -> int | None:
    row, token = model.get("unk_id"), model.get("unk_token")
    if type(row) is int and row in text:
        return row
    return next((r for r, t in text.items() if t == token), None) if token else None


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _items(found: object) -> list[Any]:
    return found if isinstance(found, list) else []


def describe_tokens(pieces: Pieces, rows: int) -> tuple[tuple[str, ...], TokenMasks]:
    """Every row as shown to people, [V], and its masks.

    *Special*: the file says so, the unknown token, and T5's sentinels `<extra_id_7>`. *Added*: not
    in the trained model. *Byte*: `<0x0A>`, or a byte sequence that is no valid UTF-8. *Unused*: no
    token, or a known placeholder such as `[unused12]`. *Word start*: a letter or digit after a
    space; for WordPiece, one that continues nothing; where a vocabulary marks ends, one that can be
    a whole word; where it marks neither, any.
    """
    shown = [f"<row {row}>" for row in range(rows)]
    kinds: dict[str, list[int]] = {name: [] for name in ("byte", "unused", "word_start")}
    for row, piece in pieces.text.items():
        plain = None if row in pieces.literal else _plain(piece, pieces)
        if plain is not None:  # most of any table: spare it the calls below
            shown[row], begins = plain
            if begins:
                kinds["word_start"].append(row)
            continue
        text = piece if row in pieces.literal else _text(piece, pieces)
        shown[row] = visible(text) or "<empty>"
        for kind in _kinds(piece, text, pieces):
            kinds[kind].append(row)
    absent = np.ones(rows, np.bool_)
    absent[list(pieces.text)] = False
    masks = TokenMasks(
        special=_mask(_special_rows(pieces), rows),
        added=_mask(list(pieces.outside_model), rows),
        byte=_mask(kinds["byte"], rows),
        unused=_mask(kinds["unused"] + np.flatnonzero(absent).tolist(), rows),
        word_start=_mask(kinds["word_start"], rows),
    )
    return _told_apart(shown), masks


def _plain(piece: str, pieces: Pieces) -> tuple[str, bool] | None:
    """How a token of ASCII letters and digits is shown and whether it begins a word; else None."""
    space = _SPACE.get(pieces.spelling)
    bare = piece[1:] if piece[:1] == space else piece
    ended = bool(pieces.word_end) and bare.endswith(pieces.word_end)
    word = bare[: -len(pieces.word_end)] if ended else bare
    if not (word.isascii() and word.isalnum()) or word.startswith("madeupword"):
        return None
    before, after = "␣" if bare is not piece else "", "␣" if ended else ""
    begins = ended if pieces.word_end else bool(before) or space is None
    return f"{before}{word}{after}", begins


def _kinds(piece: str, text: str, pieces: Pieces) -> Iterator[str]:
    """Which masks a token's own spelling puts it in."""
    if (text is not piece and _LONE_BYTE.search(text)) or _BYTE_PIECE.fullmatch(piece):
        yield "byte"
    if piece[:1] in "[<m" and _UNUSED.fullmatch(piece):
        yield "unused"
    elif _begins_word(text, pieces):
        yield "word_start"


def _text(piece: str, pieces: Pieces) -> str:
    if pieces.word_end and piece.endswith(pieces.word_end):
        return f"{_text(piece[: -len(pieces.word_end)], pieces)} "
    if pieces.spelling == "bytes":
        return _from_byte_alphabet(piece)
    return piece.replace("▁", " ") if pieces.spelling == "spaces" else piece


def _from_byte_alphabet(piece: str) -> str:
    """Text of a byte-level token; bytes that are no UTF-8 become U+DC80…U+DCFF (PEP 383)."""
    if piece.isascii():
        return piece
    if piece[0] == "Ġ" and piece[1:].isascii():
        return f" {piece[1:]}"
    try:
        return bytes([BYTE_OF[c] for c in piece]).decode("utf-8", "surrogateescape")
    except KeyError:  # not in the alphabet: a token added as plain text
        return piece


def visible(text: str) -> str:
    """Text on one line with nothing hidden in it; see the module's first lines."""
    if "\\" in text:
        text = _FORGED_ESCAPE.sub(r"\\u005c", text)
    text = text.translate(_SHOWN)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return code_point(character)


def _begins_word(text: str, pieces: Pieces) -> bool:
    if pieces.word_end:
        return text[:1].isalnum() and text[-1:] == " "
    if pieces.spelling == "wordpiece":
        return text[:1].isalnum() and not text.startswith(pieces.continuation)
    if pieces.spelling == "whole":
        return text[:1].isalnum()
    return text[:1] == " " and text.lstrip(" ")[:1].isalnum()


def _special_rows(pieces: Pieces) -> list[int]:
    listed = [row for row, special in pieces.literal.items() if special]
    sentinels = [r for r, t in pieces.text.items() if "<extra" in t and _SENTINEL.fullmatch(t)]
    return listed + sentinels + ([] if pieces.unknown is None else [pieces.unknown])


def _told_apart(shown: list[str]) -> tuple[str, ...]:
    """Add its row to every token whose text an earlier row already has."""
    if len(set(shown)) < len(shown):
        seen: set[str] = set()
        for row, token in enumerate(shown):
            while token in seen:  # the number may be how another token is spelt
                token += f"⟨{row}⟩"
            shown[row] = token
            seen.add(token)
    return tuple(shown)


def _mask(which: list[int], rows: int) -> BoolArray:
    flags = np.zeros(rows, np.bool_)
    flags[which] = True
    flags.flags.writeable = False
    return flags
