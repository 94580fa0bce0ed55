"""Tokens are shown exactly and safely, and masks say what each one is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from probe.tables import load_vocabulary
from probe.tables.tokens import Pieces, describe_tokens, read_pieces, visible


def _document(tokenizer: Tokenizer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(tokenizer.to_str())
    return document


def _byte_level(vocab: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({token: row for row, token in enumerate(vocab)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _spaces(vocab: list[str], **options: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([(token, -1.0) for token in vocab], **options))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def _wordpiece(vocab: list[str]) -> Tokenizer:
    rows = {token: row for row, token in enumerate(vocab)}
    tokenizer = Tokenizer(models.WordPiece(rows, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _shown(document: dict[str, Any], rows: int) -> tuple[str, ...]:
    return describe_tokens(read_pieces(document, rows), rows)[0]


def _named(document: dict[str, Any], rows: int) -> dict[str, set[str]]:
    """Shown tokens under each mask."""
    tokens, masks = describe_tokens(read_pieces(document, rows), rows)
    return {
        name: {token for token, flag in zip(tokens, flags, strict=True) if flag}
        for name, flags in vars(masks).items()
    }


def test_byte_level_tokens_are_shown_as_the_text_they_stand_for() -> None:
    alphabet = {byte: char for char, byte in zip(*_alphabet(), strict=True)}
    texts = [
        b"film",
        b" film",
        b"\n\n",
        b"\t",
        " été".encode(),
        b"\xe2\x80",
        b" \xe2\x80x",
        b"\x00",
    ]
    vocab = ["".join(alphabet[byte] for byte in text) for text in texts]
    assert _shown(_document(_byte_level(vocab)), 8) == (
        *("film", "␣film", "⏎⏎", "⇥", "␣été"),
        *(r"\xe2\x80", r"␣\xe2\x80x", r"\u0000"),
    )


def _alphabet() -> tuple[list[str], list[int]]:
    """The library's own byte alphabet, read off how it splits each byte's text."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    pairs = {}
    for start in range(0, 0x800):
        text = chr(start)
        pieces = "".join(piece for piece, _ in split.pre_tokenize_str(text))
        pairs |= dict(zip(pieces, text.encode(), strict=True))
    for lead in range(0xE0, 0xF5):  # lead bytes of longer sequences
        code = {0xE0: 0x800, 0xED: 0xD000, 0xF0: 0x10000}.get(
            lead, (lead & 0xF) << 12 if lead < 0xF0 else (lead & 7) << 18
        )
        text = chr(code)
        pieces = "".join(piece for piece, _ in split.pre_tokenize_str(text))
        pairs |= dict(zip(pieces, text.encode(), strict=True))
    return list(pairs), list(pairs.values())


def test_every_byte_is_read_as_the_library_reads_it() -> None:
    characters, numbers = _alphabet()
    assert len(characters) == 243  # all bytes but the 13 that UTF-8 never uses
    shown = _shown(_document(_byte_level(characters)), 243)
    for token, number in zip(shown, numbers, strict=True):
        assert _text_of(token) == bytes([number])


def _text_of(shown: str) -> bytes:
    """Undo what `visible` does: the oracle for "exact"."""

    def undo(match: re.Match[str]) -> bytes:
        byte, short, long, plain = match.groups()
        if byte:
            return bytes([int(byte, 16)])
        plain = chr(int(short or long, 16)) if short or long else plain
        plain = plain if short or long else {"␣": " ", "⏎": "\n", "⇥": "\t"}.get(plain, plain)
        return plain.encode("utf-8", "surrogatepass")

    pattern = r"(?s)\\x(..)|\\u(.{4})|\\U(.{8})|(.)"
    return b"".join(map(undo, re.finditer(pattern, shown)))


@given(st.text() | st.text(st.sampled_from("\\xuU0123 \n␣⏎⇥\u202e\u200b\ufe0f\u3164\U000e0001a")))
@pytest.mark.slow
def test_shown_text_is_exact_printable_and_on_one_line(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert " " not in shown
    assert _text_of(shown) == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u202eabc", r"\u202eabc"),
        ("a\u200bb", r"a\u200bb"),
        ("\u3000", r"\u3000"),
        ("\u00a0", r"\u00a0"),
        ("\r\n", r"\u000d⏎"),
        ("\x1b[31m", r"\u001b[31m"),
        ("❤\ufe0f", r"❤\ufe0f"),
        ("\U000e0041", r"\U000e0041"),
        ("␣", r"\u2423"),
        (r"\xe2", r"\u005cxe2"),
        ("\\", "\\"),
        ("<script>", "<script>"),
        ("**|$", "**|$"),
        ("中文", "中文"),
    ],
)
def test_hidden_characters_and_forged_escapes_are_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_tokens_that_would_look_alike_end_in_their_row() -> None:
    tokenizer = _byte_level(["ĠĠ", "a", "b"])
    tokenizer.add_tokens(["  "])
    assert _shown(_document(tokenizer), 4) == ("␣␣", "a", "b", "␣␣⟨3⟩")


def test_a_token_spelt_as_another_with_its_row_still_looks_otherwise() -> None:
    shown, _ = describe_tokens(Pieces("whole", dict(enumerate(["x⟨1⟩", "x", "x", "x⟨2⟩"]))), 4)
    assert shown == ("x⟨1⟩", "x", "x⟨2⟩", "x⟨2⟩⟨3⟩")
    shown, _ = describe_tokens(Pieces("whole", dict(enumerate(["x⟨2⟩", "x", "x"]))), 3)
    assert shown == ("x⟨2⟩", "x", "x⟨2⟩⟨2⟩")


def test_sentencepiece_spaces_are_visible_and_byte_pieces_stay() -> None:
    vocab = ["<unk>", "▁", "▁good", "s", "<0x0A>", "<0xE2>", "\n", "▁▁"]
    document = _document(_spaces(vocab, unk_id=0, byte_fallback=True))
    assert _shown(document, 10) == (
        *("<unk>", "␣", "␣good", "s", "<0x0A>", "<0xE2>", "⏎", "␣␣"),
        *("<row 8>", "<row 9>"),
    )
    named = _named(document, 10)
    assert named["byte"] == {"<0x0A>", "<0xE2>"}
    assert named["special"] == {"<unk>"}
    assert named["unused"] == {"<row 8>", "<row 9>"}
    assert named["word_start"] == {"␣good"}


def test_a_bpe_that_marks_spaces_in_its_normalizer_is_read_like_sentencepiece() -> None:
    """Gemma and Llama 2."""
    tokenizer = Tokenizer(models.BPE({"▁the": 0, "<0x41>": 1, "x": 2}, [], byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    assert _shown(_document(tokenizer), 3) == ("␣the", "<0x41>", "x")


def test_wordpiece_continuations_are_kept() -> None:
    vocab = ["[PAD]", "[unused12]", "[UNK]", "sing", "##ing", "!", "##é", "9"]
    named = _named(_document(_wordpiece(vocab)), 8)
    assert _shown(_document(_wordpiece(vocab)), 8) == tuple(vocab)
    assert named["word_start"] == {"sing", "9"}
    assert named["unused"] == {"[unused12]"}
    assert named["special"] == {"[UNK]"}


def test_added_tokens_are_shown_as_written_and_flagged() -> None:
    tokenizer = _byte_level(["Ġa", "<s>", "b"])
    tokenizer.add_special_tokens(["<s>", "<|im_start|>"])
    tokenizer.add_tokens(["Ġliteral", "<｜end▁of▁text｜>"])
    document = _document(tokenizer)
    assert _shown(document, 6)[3:] == ("<|im_start|>", "Ġliteral", "<｜end▁of▁text｜>")
    named = _named(document, 6)
    assert named["special"] == {"<s>", "<|im_start|>"}
    assert named["added"] == {"<|im_start|>", "Ġliteral", "<｜end▁of▁text｜>"}


def test_sentinels_are_special_and_placeholders_are_unused() -> None:
    vocab = ["▁<extra_id_0>", "<extra_id_7>", "<unused12>", "<|reserved_special_token_3|>"]
    vocab += ["madeupword0001", "▁madeup", "[control_9]"]
    named = _named(_document(_spaces(vocab)), 7)
    assert named["special"] == {"␣<extra_id_0>", "<extra_id_7>"}
    assert named["unused"] == {
        *("<unused12>", "<|reserved_special_token_3|>", "madeupword0001", "[control_9]")
    }


def test_bytes_that_are_no_text_alone_are_flagged() -> None:
    alphabet = {byte: char for char, byte in zip(*_alphabet(), strict=True)}
    vocab = [alphabet[0xE2] + alphabet[0x80], alphabet[0x41], "Ġthe", "ĠĠthe", "Ġ(", "Ġ"]
    named = _named(_document(_byte_level(vocab)), 6)
    assert named["byte"] == {r"\xe2\x80"}
    assert named["word_start"] == {"␣the", "␣␣the"}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"model": []},
        {"model": {"vocab": {"a": -1, "b": 9, "c": "1", "d": None, "e": True, "f": 2**70}}},
        {"model": {"vocab": [["a"], [], 3, [None, 1], "x"], "unk_id": -7}},
        {"added_tokens": [3, {"id": -1, "content": "a"}, {"id": 0}, {"id": True, "content": "t"}]},
        {"added_tokens": {"id": 1}, "decoder": ["ByteLevel"], "model": {"type": ["BPE"]}},
        {"model": {"vocab": {}, "unk_token": {"a": 1}, "continuing_subword_prefix": 5}},
    ],
)
def test_a_hostile_document_leaves_rows_without_tokens(document: dict[str, Any]) -> None:
    tokens, masks = describe_tokens(read_pieces(document, 3), 3)
    assert len(tokens) == 3
    assert set(tokens) <= {"a", *(f"<row {row}>" for row in range(3))}
    assert masks.unused.sum() >= 2


def test_rows_fewer_than_tokens_keep_the_first(tmp_path: Path) -> None:
    assert _shown(_document(_spaces(["a", "b", "c"])), 2) == ("a", "b")


def test_no_two_tokens_of_a_large_vocabulary_look_alike() -> None:
    source = json.loads((Path(__file__).parents[2] / "probe/builtin/tokenizer.json").read_bytes())
    vocab = {f"{t}{'Ġxyé'[i % 4]}{i}": i for i, t in enumerate(list(source["model"]["vocab"]) * 8)}
    source["model"]["vocab"] = vocab
    tokens = _shown(source, len(vocab))
    assert len(set(tokens)) == len(vocab) == 131072


def test_the_shipped_vocabulary_has_no_two_tokens_that_look_alike() -> None:
    vocabulary = load_vocabulary("builtin")
    assert len(set(vocabulary.tokens)) == len(vocabulary)
    assert all(token.isprintable() and " " not in token for token in vocabulary.tokens)
    assert vocabulary.tokens[vocabulary.encode(" film")[0]] == "␣film"
    assert vocabulary.masks.special.sum() == 1
    assert all(
        r"\x" in t for t, b in zip(vocabulary.tokens, vocabulary.masks.byte, strict=True) if b
    )
