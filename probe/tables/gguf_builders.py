"""Documents in the layout of `tokenizer.json` from the vocabularies of GGUF files.

Each kind of tokenizer cuts, normalises and joins text as transformers' class of that kind does.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from probe.tables.documents import BYTE_LEVEL, wordpiece_parts
from probe.tables.gguf_splits import way_of
from probe.tables.gguf_tokens import BYTE, CONTROL, UNKNOWN, UNUSED, GgufTokens, merges_by_rank

Document = dict[str, Any]

_MARK = "▁"
_SPACES_TO_MARKS = {"type": "Replace", "pattern": {"String": " "}, "content": _MARK}
_MARKS_TO_SPACES = {"type": "Replace", "pattern": {"String": _MARK}, "content": " "}
_SENTINELS = 100
_NO_PIECES = (CONTROL, UNKNOWN, UNUSED, BYTE)


def byte_level(found: GgufTokens, where: str) -> Document:  # noqa: ARG001
    """GPT-2's byte-level BPE: text cut by patterns, bytes spelled in its alphabet, merges."""
    way = way_of(str(found.fields.get("pre", "default")), found.architecture)
    rows, bos = found.rows(), found.end("bos", default=way.begins)
    return _document(
        found,
        normalizer={"type": "NFC"} if way.normalises else None,
        pre_tokenizer=way.pre_tokenizer,
        post_processor=_around(found, bos, found.end("eos", default=False)),
        decoder=BYTE_LEVEL,
        model=_bpe(rows, _listed_merges(found, rows), ignore_merges=way.keeps_words),
    )


def sentencepiece(found: GgufTokens, where: str) -> Document:
    """SentencePiece's BPE: spaces are `▁`, unknown characters fall back to bytes."""
    gemma = found.architecture.startswith("gemma") or found.model == "gemma4"
    prefix = not gemma and found.fields.get("add_space_prefix", True) is not False
    found = _with_marks(found)
    rows = found.rows()
    normalizer: Document | None = None
    pre_tokenizer: Document | None = {
        "type": "Metaspace",
        "replacement": _MARK,
        "prepend_scheme": "first" if prefix else "never",
        "split": False,
    }
    if gemma:
        normalizer = _SPACES_TO_MARKS
        split = {"pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
        pre_tokenizer = {"type": "Split"} | split
    elif found.architecture == "phi3":  # nothing in the file tells it from Llama
        prepend = {"type": "Prepend", "prepend": _MARK}
        normalizer = {"type": "Sequence", "normalizers": [prepend, _SPACES_TO_MARKS]}
        pre_tokenizer = None
    back = [_MARKS_TO_SPACES, {"type": "ByteFallback"}, {"type": "Fuse"}]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    bos = found.end("bos", default=True) if found.model != "gemma4" else None
    merges = _listed_merges(found, rows) or _merges_by_score(found, rows, where, by_row=gemma)
    return _document(
        found,
        normalizer=normalizer,
        pre_tokenizer=pre_tokenizer,
        post_processor=_around(found, bos, found.end("eos", default=False)),
        decoder={"type": "Sequence", "decoders": [*back, strip] if prefix else back},
        model=_bpe(
            rows,
            merges,
            unk_token=found.token_of("unknown"),
            fuse_unk=True,
            byte_fallback=BYTE in found.kinds,
        ),
    )


def wordpiece(found: GgufTokens, where: str) -> Document:  # noqa: ARG001
    """BERT's WordPiece, whose file marks beginnings of words instead of continuations."""
    tokens = list(zip(found.tokens, found.kinds, strict=True))
    rows = {_wordpiece_token(*each): row for row, each in reversed(list(enumerate(tokens)))}
    cased = any(token != token.lower() for token, kind in tokens if kind == 1)
    around = _around(found, found.end("bos", default=True), found.id_of("seperator"))
    unknown = found.token_of("unknown") or "[UNK]"
    parts = wordpiece_parts(rows, lowercase=not cased, unknown=unknown, around=around)
    return _document(found, **parts)


def unigram(found: GgufTokens, where: str) -> Document:  # noqa: ARG001
    """SentencePiece's unigram model: the likeliest way to cut a text by the tokens' scores."""
    scores = _scores(found)
    tokens = _with_sentinels(found)
    charsmap = found.fields.get("precompiled_charsmap")
    normalizer = None
    if isinstance(charsmap, np.ndarray):
        encoded = base64.b64encode(charsmap.astype(np.uint8).tobytes()).decode()
        normalizer = {"type": "Precompiled", "precompiled_charsmap": encoded}
    marks = {"type": "Metaspace", "replacement": _MARK, "prepend_scheme": "always", "split": True}
    return _document(
        found,
        normalizer=normalizer,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, marks]},
        post_processor=_around(
            found, found.end("bos", default=False), found.end("eos", default=True)
        ),
        decoder=marks,
        model={
            "type": "Unigram",
            "unk_id": found.id_of("unknown"),
            "vocab": [[token, float(score)] for token, score in zip(tokens, scores, strict=True)],
            "byte_fallback": False,
        },
    )


BUILDERS: Mapping[str, Callable[[GgufTokens, str], Document]] = {
    "gpt2": byte_level,
    "llama": sentencepiece,
    "gemma4": sentencepiece,
    "bert": wordpiece,
    "t5": unigram,
}


def _document(found: GgufTokens, **parts: Any) -> Document:
    return {"version": "1.0", "added_tokens": found.added()} | parts


def _bpe(rows: Mapping[str, int], merges: Iterable[tuple[str, str]], **options: Any) -> Document:
    return {"type": "BPE", "vocab": rows, "merges": [list(pair) for pair in merges]} | options


def _listed_merges(found: GgufTokens, rows: Mapping[str, int]) -> list[tuple[str, str]]:
    """The file's merges whose tokens all exist."""
    merges = found.fields.get("merges")
    pairs = []
    for merge in merges if isinstance(merges, list) else ():
        at = merge.find(" ", 1)
        left, right = merge[:at], merge[at + 1 :]
        if at > 0 and left in rows and right in rows and left + right in rows:
            pairs.append((left, right))
    return pairs


def _merges_by_score(
    found: GgufTokens, rows: Mapping[str, int], where: str, *, by_row: bool
) -> list[tuple[str, str]]:
    """Merges by the tokens' scores, or by their order, which Gemma's scores do not follow."""
    pieces = {token: row for token, row in rows.items() if found.kinds[row] not in _NO_PIECES}
    rank = -np.arange(len(found.tokens)) if by_row else _scores(found)
    return merges_by_rank(pieces, rank.tolist(), where)


def _scores(found: GgufTokens) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[V] scores; by the tokens' order where the file has none, and never infinite or NaN."""
    scores = found.fields.get("scores")
    if not isinstance(scores, np.ndarray) or len(scores) != len(found.tokens):
        return -np.arange(len(found.tokens), dtype=np.float64)
    with np.errstate(all="ignore"):  # signalling NaN
        return np.nan_to_num(scores.astype(np.float64))


def _with_marks(found: GgufTokens) -> GgufTokens:
    """Runs of spaces spelled as the text is when they are looked for; so they are merged to."""
    runs = [row for row, token in enumerate(found.tokens) if token and not token.strip(" ")]
    tokens, kinds = list(found.tokens), list(found.kinds)
    for row in runs:
        tokens[row], kinds[row] = _MARK * len(tokens[row]), 1
    return GgufTokens(tokens, kinds, found.fields, found.architecture)


def _with_sentinels(found: GgufTokens) -> list[str]:
    """T5's sentinels, which the file calls padding: the first of them is `<extra_id_99>`."""
    tokens = list(found.tokens)
    if found.architecture.startswith("t5"):
        padding = [row for row in range(len(tokens)) if found.is_padding(row)]
        for number, row in enumerate(padding[:_SENTINELS]):
            tokens[row] = f"<extra_id_{_SENTINELS - 1 - number}>"
    return tokens


def _wordpiece_token(token: str, kind: int) -> str:
    """A token as BERT's own file spells it."""
    if kind in (CONTROL, UNKNOWN) or (token.startswith("[") and token.endswith("]")):
        return token
    return token[1:] if token.startswith(_MARK) else f"##{token}"


def _around(found: GgufTokens, first: int | None, last: int | None) -> Document | None:
    """What puts special tokens around a text."""
    names = {row: found.tokens[row] for row in (first, last) if row is not None}
    if not names:
        return None

    def special(row: int | None) -> list[Document]:
        return [] if row is None else [{"SpecialToken": {"id": names[row], "type_id": 0}}]

    def template(*texts: str) -> list[Document]:
        sequences = [{"Sequence": {"id": text, "type_id": 0}} for text in texts]
        return [part for one in sequences for part in (*special(first), one, *special(last))]

    return {
        "type": "TemplateProcessing",
        "single": template("A"),
        "pair": template("A", "B"),
        "special_tokens": {
            name: {"id": name, "ids": [row], "tokens": [name]} for row, name in names.items()
        },
    }
