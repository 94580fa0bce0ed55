"""A model's tokenizer files as one `tokenizer.json` document, whichever files it came in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from probe.errors import ModelNotFoundError
from probe.tables.architectures import Which
from probe.tables.codec import SentencePieceCodec, TokenizersCodec
from probe.tables.documents import (
    BYTE_LEVEL,
    added_token,
    marks_word_ends,
    with_readable_ends,
    word_end_document,
    wordpiece_parts,
)
from probe.tables.files import Files, optional_object, parse_object
from probe.tables.span import Table
from probe.tables.tokens import describe_tokens, read_pieces
from probe.vocabulary import TextCodec, Vocabulary

# Families whose rows are the SentencePiece ids; others (XLM-R, Pegasus, mBART) shift them in code.
_ROWS_ARE_SENTENCEPIECE_IDS = frozenset(
    (
        *("t5", "mt5", "umt5", "longt5", "llama", "mistral", "mixtral", "gemma", "gemma2", "phi3"),
        *("gemma3_text", "albert", "xlnet", "big_bird", "deberta-v2", "rembert"),
    )
)
_SENTENCEPIECE = ("spiece.model", "tokenizer.model", "spm.model", "sentencepiece.model")
_BESIDE_VOCAB = ("sentencepiece.bpe.model", "source.spm")
"""What cuts texts into the pieces that a `vocab.json` numbers; a stack may have its own."""
_USUAL_SPECIAL = frozenset(
    (
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>"),
        *("<|startoftext|>", "<|endoftext|>"),
        *(f"<special{number}>" for number in range(10)),  # XLM's
    )
)
_NO_WORDPIECE = (
    "BertJapaneseTokenizer",
    "CpmAntTokenizer",
    "EsmTokenizer",
    "GPTNeoXJapaneseTokenizer",
    "RoFormerTokenizer",
)
"""Classes with a `vocab.txt` that do not cut texts as BERT does."""
_LISTS_OF_SPECIAL = ("additional_special_tokens", "extra_special_tokens")


@dataclass(frozen=True)
class TokenizerFiles:
    """What was found beside a model to turn text into rows."""

    document: Mapping[str, Any]
    """In the layout of `tokenizer.json`."""
    codec: TextCodec | None
    sha256: str
    """Digest of the files' bytes."""
    data: bytes | None = None
    """The document's bytes where it was made from a GGUF file."""

    def vocabulary(self, name: str, table: Table) -> Vocabulary:
        """The tokens of a table's rows [V, H] with the table."""
        rows, told = len(table.values), (self.codec, self.sha256)
        tokens, masks = describe_tokens(read_pieces(self.document, rows), rows)
        return Vocabulary(
            name, tokens, table.values, table.dtype, masks, *told, table.factor, table.layer
        )


def tokenizer_of(data: bytes, document: dict[str, Any], where: str) -> TokenizerFiles:
    """The tokenizer of a `tokenizer.json`."""
    readable = with_readable_ends(document)
    shown = data if readable is document else json.dumps(readable).encode()
    return TokenizerFiles(document, TokenizersCodec(shown, where), _sha256(data))


NO_TOKENIZER = TokenizerFiles({}, None, "")


def read_tokenizer(files: Files, model_type: object, which: Which = "input") -> TokenizerFiles:
    """The model's tokenizer, or `NO_TOKENIZER` when it came without a readable one.

    Its family says whether SentencePiece ids are rows; FSMT's stacks read different vocabularies.

    Raises:
        ModelNotFoundError: a tokenizer file is damaged.
    """
    if (data := files.small("tokenizer.json")) is not None:
        document = parse_object(data, "tokenizer.json", files.where)
        return tokenizer_of(data, document, files.where)
    if (data := files.small("vocab.txt")) is not None:
        if (codes := files.small("bpe.codes")) is not None:
            return _rebuilt(files, word_end_document(_fairseq(data), _lines(codes)), data, codes)
        config = optional_object(files, "tokenizer_config.json")
        made = _rebuilt(files, _wordpiece(data, config), data)
        return replace(made, codec=None) if _cuts_otherwise(config) else made
    if (merges := files.small("merges.txt")) is not None:
        return _read_byte_pairs(files, merges, which)
    if (data := files.small("vocab.json")) is not None:
        return _numbered_pieces(files, data, which)
    names = _SENTENCEPIECE if model_type in _ROWS_ARE_SENTENCEPIECE_IDS else ()
    name, data = _first(files, names)
    return NO_TOKENIZER if data is None else _sentencepiece(files, name, data)


def _first(files: Files, names: Iterable[str]) -> tuple[str, bytes | None]:
    """The first of these files that is there, by name and content."""
    found = ((name, files.small(name)) for name in names)
    return next(((name, data) for name, data in found if data is not None), ("", None))


def _read_byte_pairs(files: Files, merges: bytes, which: Which) -> TokenizerFiles:
    """Merges and the vocabulary beside them; in FSMT each stack has its own."""
    for name in ("vocab.json", "vocab-tgt.json" if which == "decoder" else "vocab-src.json"):
        if (data := files.small(name)) is not None:
            document = _byte_pairs(parse_object(data, name, files.where), _lines(merges))
            return _rebuilt(files, document, data, merges)
    return NO_TOKENIZER


def _rebuilt(files: Files, document: dict[str, Any], *sources: bytes) -> TokenizerFiles:
    """Add what the configuration files say about special tokens, and make the codec."""
    vocab = document["model"]["vocab"]
    added = {token: row for row, token in _added_tokens(files)}
    special = _special_tokens(files) | _USUAL_SPECIAL
    known = {token: row for token, row in vocab.items() if token in special} | added
    document["added_tokens"] = [
        added_token(row, token, special=token in special)
        for token, row in sorted(known.items(), key=lambda item: item[1])
    ]
    # The library renumbers added tokens unless the model has them: rows must stay as given.
    numbered = document | {"model": document["model"] | {"vocab": vocab | added}}
    codec = TokenizersCodec(json.dumps(numbered).encode(), files.where, knows_special=False)
    return TokenizerFiles(document, codec, _sha256(*sources))


def _wordpiece(vocab: bytes, config: Mapping[str, Any]) -> dict[str, Any]:
    """BERT's `vocab.txt`: one token per line, the row is the line number."""
    tokens = vocab.decode("utf-8", "replace").split("\n")
    rows = {token.rstrip("\r"): row for row, token in enumerate(tokens) if token.strip()}
    lowercase, strips = config.get("do_lower_case", True) is True, config.get("strip_accents")
    return {"version": "1.0"} | wordpiece_parts(
        rows,
        lowercase=lowercase,
        strip_accents=strips if isinstance(strips, bool) else None,
        chinese=config.get("tokenize_chinese_chars", True) is not False,
    )


def _cuts_otherwise(config: Mapping[str, Any]) -> bool:
    """Whether words are cut off by a dictionary, letter by letter, or by the model's own code."""
    own = config.get("auto_map")
    name = str(config.get("tokenizer_class")).removesuffix("Fast")
    return name in _NO_WORDPIECE or (isinstance(own, dict) and "AutoTokenizer" in own)


def _fairseq(dictionary: bytes) -> dict[str, int]:
    """PhoBERT's and BERTweet's `vocab.txt`: a token and its count per line, behind four rows."""
    rows = {token: row for row, token in enumerate(("<s>", "<pad>", "</s>", "<unk>"))}
    for line in _lines(dictionary):
        if (token := line.rpartition(" ")[0].strip()) not in rows:
            rows[token] = len(rows)
    return rows | {"<mask>": len(rows)}


def _lines(data: bytes) -> list[str]:
    return [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]


def _byte_pairs(found: Mapping[str, Any], merges: list[str]) -> dict[str, Any]:
    """`vocab.json` and `merges.txt`, of an encoder that marks word ends or of GPT-2's kind."""
    vocab = {token: row for token, row in found.items() if type(row) is int and row >= 0}
    merges = [line for line in merges if not line.startswith("#version")]
    if marks_word_ends(vocab):
        return word_end_document(vocab, merges)
    pairs = [line for line in merges if line.count(" ") == 1]
    model = {"type": "BPE", "vocab": vocab, "merges": pairs}
    parts = {"pre_tokenizer": BYTE_LEVEL, "decoder": BYTE_LEVEL, "model": model}
    return {"version": "1.0", **parts}


def _numbered_pieces(files: Files, data: bytes, which: Which) -> TokenizerFiles:
    """Marian's and M2M100's `vocab.json`: the row of each piece of a SentencePiece model beside."""
    found = parse_object(data, "vocab.json", files.where)
    vocab = {token: row for token, row in found.items() if type(row) is int and row >= 0}
    vocab |= {token: row for row, token in _added_tokens(files)}
    special = _special_tokens(files) | _USUAL_SPECIAL
    listed = [
        added_token(row, token, special=True) for token, row in vocab.items() if token in special
    ]
    model = {"type": "Unigram", "vocab": vocab, "unk_token": "<unk>"}
    names = ("target.spm", *_BESIDE_VOCAB) if which == "decoder" else _BESIDE_VOCAB
    name, cuts = _first(files, names)
    processor = None if cuts is None else _processor(files, name, cuts)
    codec = None if processor is None else SentencePieceCodec(processor, vocab)
    return TokenizerFiles({"model": model, "added_tokens": listed}, codec, _sha256(data))


def _sentencepiece(files: Files, name: str, data: bytes) -> TokenizerFiles:
    """SentencePiece's own file, when its library is installed."""
    if (processor := _processor(files, name, data)) is None:
        return NO_TOKENIZER
    rows = range(processor.GetPieceSize())
    listed = [(row, processor.IdToPiece(row)) for row in rows if processor.IsControl(row)]
    listed += _added_tokens(files)
    document = {
        "model": {
            "type": "Unigram",
            "vocab": [[processor.IdToPiece(row)] for row in rows],
            "unk_id": processor.unk_id(),
        },
        "added_tokens": [added_token(*one, special=True) for one in listed],
    }
    return TokenizerFiles(document, SentencePieceCodec(processor), _sha256(data))


def _processor(files: Files, name: str, data: bytes) -> Any:
    """What cuts texts by a SentencePiece model; None without its library."""
    try:
        import sentencepiece
    except ImportError:
        return None
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(data)
    except RuntimeError as error:
        raise ModelNotFoundError(
            f"{files.where}: {name} is no SentencePiece model: fetch or save it again"
        ) from error
    return processor


def _added_tokens(files: Files) -> Iterator[tuple[int, str]]:
    """Rows of tokens that the configuration files add to the vocabulary."""
    for token, row in optional_object(files, "added_tokens.json").items():
        if type(row) is int and row >= 0:
            yield row, token
    decoder = optional_object(files, "tokenizer_config.json").get("added_tokens_decoder")
    for number, entry in (decoder if isinstance(decoder, dict) else {}).items():
        if number.isdecimal() and len(number) < 10 and (content := _content(entry)):
            yield int(number), content


def _special_tokens(files: Files) -> frozenset[str]:
    """Tokens that the configuration files name `eos_token`, `additional_special_tokens`, …."""
    found: set[str | None] = set()
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        for key, value in optional_object(files, name).items():
            if key.endswith("_token"):
                found.add(_content(value))
            elif key in _LISTS_OF_SPECIAL and isinstance(value, list):
                found |= {_content(entry) for entry in value}
    return frozenset(token for token in found if token)


def _content(entry: object) -> str | None:
    content = entry.get("content") if isinstance(entry, dict) else entry
    return content if isinstance(content, str) else None


def _sha256(*sources: bytes) -> str:
    return hashlib.sha256(b"".join(sources)).hexdigest()
