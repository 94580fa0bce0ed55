"""Parts of a `tokenizer.json` that is made of other files: WordPiece, and encoders of word ends.

Those mark where words end, as CLIP and GPT-1 do (`</w>`), or where they go on, as CTRL (`@@`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probe.tables.tokens import BYTE_OF, spelled_in_bytes

BYTE_LEVEL: Mapping[str, Any] = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
"""GPT-2's alphabet of bytes, as what cuts texts and as what joins tokens."""
END = "</w>"
_GOES_ON = "@@"
_LEAST_SHARE = 0.1
"""Share of a vocabulary's tokens that carry a mark, if its encoder writes the mark."""
_CLIP_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
"""What CLIP takes for a word (Radford et al. 2021)."""


def marks_word_ends(vocab: Mapping[str, int]) -> bool:
    """Whether a vocabulary's tokens say where words end, or where they go on."""
    return any(_carried(vocab, mark) for mark in (END, _GOES_ON))


def _carried(vocab: Mapping[str, int], mark: str) -> bool:
    return sum(token.endswith(mark) for token in vocab) > _LEAST_SHARE * len(vocab)


def word_end_document(vocab: Mapping[str, int], merges: list[str]) -> dict[str, Any]:
    """`vocab.json` and `merges.txt` of such an encoder, in the layout of `tokenizer.json`.

    CLIP's is exact, and so is GPT-1's. Other families cut texts into words by rules of a language
    (Moses); here punctuation stands by itself. That touches how texts are encoded, not how rows
    are read.

    Args:
        vocab: row of each token.
        merges: pairs of tokens, the first merged first; what follows a pair is passed over.
    """
    vocab = vocab if _carried(vocab, END) else _with_ends(vocab)
    pairs = [pair for line in merges if len(pair := line.split()[:2]) == 2]
    known = [f"{a} {b}" for a, b in pairs if a in vocab and b in vocab and a + b in vocab]
    unknown = next((token for token in ("<unk>", "<|endoftext|>") if token in vocab), None)
    model = {"type": "BPE", "end_of_word_suffix": END, "unk_token": unknown}
    in_bytes = all(byte in vocab or byte + END in vocab for byte in BYTE_OF)
    parts = _clip_parts() if in_bytes else _plain_parts(vocab)
    document = {"version": "1.0", **parts, "model": model | {"vocab": vocab, "merges": known}}
    return with_readable_ends(document)


def with_readable_ends(document: dict[str, Any]) -> dict[str, Any]:
    """A `tokenizer.json` whose decoder writes a space where a token says that a word ends."""
    model = document.get("model")
    end = model.get("end_of_word_suffix") if isinstance(model, dict) else None
    if not (isinstance(end, str) and end):
        return document
    bytes_first = [BYTE_LEVEL] if spelled_in_bytes(document) else []
    spaces = {"type": "Replace", "pattern": {"String": end}, "content": " "}
    trimmed = {"type": "Strip", "content": " ", "start": 0, "stop": 1}
    decoders = [*bytes_first, spaces, {"type": "Fuse"}, trimmed]
    return document | {"decoder": {"type": "Sequence", "decoders": decoders}}


def _with_ends(vocab: Mapping[str, int]) -> dict[str, int]:
    """A vocabulary that marks where words go on, marked where they end instead."""
    special = {token for token in vocab if token[:1] == "<" and token[-1:] == ">"}
    return {
        token.removesuffix(_GOES_ON)
        if token.endswith(_GOES_ON) or token in special
        else token + END: row
        for token, row in vocab.items()
    }


def _clip_parts() -> dict[str, Any]:
    spaces = {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}
    words = {"type": "Split", "pattern": {"Regex": _CLIP_WORDS}, "behavior": "Removed"}
    split = [words | {"invert": True}, BYTE_LEVEL]
    return {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "NFC"}, spaces, {"type": "Lowercase"}],
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": split},
    }


def _plain_parts(vocab: Mapping[str, int]) -> dict[str, Any]:
    capitals = any("A" <= letter <= "Z" for token in vocab for letter in token if token[0] != "<")
    return _bert_parts(lowercase=not capitals)


def _bert_parts(
    *, lowercase: bool, strip_accents: bool | None = None, chinese: bool = True
) -> dict[str, Any]:
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": chinese}
    return {
        "normalizer": normalizer | {"strip_accents": strip_accents, "lowercase": lowercase},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
    }


def wordpiece_parts(
    rows: Mapping[str, int],
    *,
    lowercase: bool,
    strip_accents: bool | None = None,
    chinese: bool = True,
    unknown: str = "[UNK]",
    around: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """BERT's WordPiece of tokens and their rows: `##` continues a word.

    Args:
        rows: of each token.
        lowercase: letters become small ones.
        strip_accents: accents are taken away; None: where letters become small ones.
        chinese: each Chinese character stands apart.
        unknown: what a word becomes that cannot be cut.
        around: what puts special tokens around a text.
    """
    cut = _bert_parts(lowercase=lowercase, strip_accents=strip_accents, chinese=chinese)
    model = {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##"}
    return cut | {
        "post_processor": around,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": model | {"max_input_chars_per_word": 100, "vocab": rows},
    }


def added_token(row: int, token: str, *, special: bool) -> dict[str, Any]:
    """An entry of `added_tokens`: a token that is matched whole in a text."""
    matched = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": row, "content": token, "special": special} | matched
