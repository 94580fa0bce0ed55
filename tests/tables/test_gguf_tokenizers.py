"""Tokenizers of GGUF files against the libraries that made them."""

import json

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from tokenizers import Tokenizer
from transformers import BertTokenizer, GemmaTokenizer, LlamaTokenizer, Qwen2Tokenizer, T5Tokenizer

from probe.errors import ModelNotFoundError
from probe.tables import load_vocabulary
from probe.tables.gguf_splits import _WAYS, way_of
from tests.tables.gguf_made import (
    BYTE,
    CONTROL,
    NORMAL,
    TEXTS,
    USER_DEFINED,
    byte_level_fields,
    charsmap_of,
    sentencepiece_fields,
    train_byte_level,
    train_sentencepiece,
    unigram_fields,
    wordpiece_fields,
    write_gguf,
)

ROWS = 448
MORE = ["", "x", "naïve 東京 🙂", "a\u00a0b", "THE END?!", "1234567 3.14", "word " * 40]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "a", "soft", "prompt", "##s", "##ing", "film"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))


def read(folder, fields, architecture="llama", rows=None):
    rows = rows or len(fields["tokens"])
    table = np.zeros((rows, 32), np.float32)
    tensors = {"token_embd.weight": (table, GGMLQuantizationType.F32)}
    return load_vocabulary(write_gguf(folder / "m.gguf", architecture, fields, {}, tensors))


def test_sentencepiece_pieces_are_merged_as_its_own_library_merges_them(tmp_path):
    library = train_sentencepiece(tmp_path, "bpe")
    found = read(tmp_path, sentencepiece_fields(library, ROWS))
    for text in (*TEXTS, *MORE):
        if not text.startswith(" "):
            assert found.encode(text) == library.EncodeAsIds(text)
            assert found.decode(found.encode(text)) == text
    assert found.encode_special("x") == [1, *library.EncodeAsIds("x")]
    size = library.GetPieceSize()
    assert [bool(flag) for flag in found.masks.unused[size:]] == [True] * (ROWS - size)
    assert [row for row in range(ROWS) if found.masks.special[row]] == [0, 1, 2]
    assert found.tokens[library.PieceToId("<0x0A>")] == "<0x0A>"
    assert found.masks.byte.sum() == 256


@pytest.mark.parametrize("left_out", ["byte kinds", "all kinds"])
def test_bytes_are_found_by_their_spelling_where_no_kind_says_so(left_out, tmp_path):
    library = train_sentencepiece(tmp_path, "bpe")
    fields = sentencepiece_fields(library, library.GetPieceSize())
    kinds = fields.pop("token_type")
    if left_out == "byte kinds":
        fields["token_type"] = [NORMAL if kind == BYTE else kind for kind in kinds]
    found = read(tmp_path, fields)
    for text in (TEXTS[0], *MORE):
        assert found.encode(text) == library.EncodeAsIds(text)
        assert found.decode(found.encode(text)) == text
    assert [row for row in range(len(kinds)) if found.masks.special[row]] == [0, 1, 2]
    assert found.masks.byte.sum() == 256


def test_a_second_reading_takes_the_merges_from_the_cache(tmp_path, monkeypatch):
    fields = sentencepiece_fields(train_sentencepiece(tmp_path, "bpe"), ROWS)
    first = read(tmp_path, fields)
    monkeypatch.setattr("probe.tables.gguf_builders.merges_by_rank", None)
    second = load_vocabulary(tmp_path / "m.gguf")
    assert second.encode(TEXTS[0]) == first.encode(TEXTS[0])
    assert second.tokenizer_sha256 == first.tokenizer_sha256


@pytest.mark.parametrize(
    ("architecture", "add_space", "kind"),
    [("llama", True, LlamaTokenizer), ("llama", False, LlamaTokenizer), ("gemma2", False, None)],
)
def test_spaces_at_both_ends_are_what_transformers_makes_of_them(
    tmp_path, architecture, add_space, kind
):
    library = train_sentencepiece(tmp_path, "bpe")
    fields = sentencepiece_fields(library, library.GetPieceSize())
    fields["add_space_prefix"] = add_space
    found = read(tmp_path, fields, architecture)
    merges = json.loads(found.codec._document)["model"]["merges"]
    rows = {token: row for row, token in enumerate(fields["tokens"])}
    pairs = [tuple(pair) for pair in merges]
    if kind is None:
        theirs = GemmaTokenizer(
            rows, pairs, bos_token="<s>", eos_token="</s>", pad_token="<unk>", mask_token="<unk>"
        )
    else:
        theirs = kind(rows, pairs, add_prefix_space=add_space)
    for text in (*TEXTS, *MORE, " leading", "trailing ", "  two  "):
        assert found.encode(text) == theirs(text, add_special_tokens=False).input_ids, text
        ids = found.encode(text)
        assert found.decode(ids) == theirs.decode(ids, clean_up_tokenization_spaces=False)


def test_gemmas_runs_of_spaces_are_tokens_though_the_file_spells_them_as_spaces(tmp_path):
    library = train_sentencepiece(tmp_path, "bpe")
    fields = sentencepiece_fields(library, library.GetPieceSize())
    for run in ("  ", "    "):
        fields["tokens"].append(run)
        fields["token_type"].append(USER_DEFINED)
        fields["scores"].append(-1000.0)
    found = read(tmp_path, fields, "gemma2")
    assert found.encode("a    ")[-1] == len(fields["tokens"]) - 1
    assert found.decode(found.encode("a    b")) == "a    b"


def test_wordpiece_beginnings_and_continuations_are_told_apart_again(tmp_path):
    theirs = BertTokenizer({word: row for row, word in enumerate(WORDS)})
    found = read(tmp_path, wordpiece_fields(WORDS), "bert")
    for text in ("a soft prompting", "Soft FILMS, a", "unheard of", ""):
        assert found.encode(text) == theirs(text, add_special_tokens=False).input_ids
        assert found.encode_special(text) == theirs(text).input_ids
    assert found.tokens[5:] == ("a", "soft", "prompt", "##s", "##ing", "film")
    assert [int(row) for row in np.flatnonzero(found.masks.special)] == [0, 1, 2, 3, 4]
    assert not found.masks.word_start[8]


def test_a_cased_vocabulary_keeps_its_case(tmp_path):
    found = read(tmp_path, wordpiece_fields([*WORDS, "Soft"]), "bert")
    assert found.encode("Soft soft") == [11, 6]


def test_unigram_tokens_scores_normaliser_and_sentinels_are_t5s(tmp_path):
    library = train_sentencepiece(tmp_path, "unigram", 200)
    size = library.GetPieceSize()
    model = (tmp_path / "spm.model").read_bytes()
    found = read(tmp_path, unigram_fields(library, size + 110, model), "t5")
    pieces = [(library.IdToPiece(row), library.GetScore(row)) for row in range(size)]
    theirs = T5Tokenizer(pieces, extra_ids=0, _spm_precompiled_charsmap=charsmap_of(model))
    for text in (TEXTS[0], "ﬁlm Ⅷ", "x"):
        assert found.encode(text) == theirs(text, add_special_tokens=False).input_ids
        assert found.encode_special(text) == theirs(text).input_ids
    assert found.tokens[size] == "<extra_id_99>"
    assert found.tokens[size + 99] == "<extra_id_0>"
    assert found.masks.special[size : size + 100].all()
    assert found.masks.unused[size + 100 :].all()


def test_numbers_and_words_are_cut_as_the_files_pre_tokenizer_says(tmp_path):
    qwen = Qwen2Tokenizer()._tokenizer.pre_tokenizer
    trained = train_byte_level(qwen, 600)
    fields = byte_level_fields(trained, trained.get_vocab_size(), "qwen2")
    found = read(tmp_path, fields, "qwen2")
    for text in (*TEXTS, *MORE, "cafe\u0301 I'LL"):
        composed = text.replace("e\u0301", "é")
        assert found.encode(text) == trained.encode(composed, add_special_tokens=False).ids


@pytest.mark.parametrize("name", sorted(_WAYS) + ["gpt-2", "a name nobody knows"])
def test_every_way_to_cut_text_loses_nothing_of_it(name, tmp_path):
    trained = train_byte_level()
    fields = byte_level_fields(trained, trained.get_vocab_size(), name)
    found = read(tmp_path, fields)
    for text in (*TEXTS, *MORE):
        assert found.decode(found.encode(text)) == text.replace("e\u0301", "é")


def test_a_way_to_cut_text_that_is_not_known_is_noted(tmp_path, caplog):
    trained = train_byte_level()
    for name, told in (("gigachat", False), ("kimi-k2", True)):
        read(tmp_path, byte_level_fields(trained, trained.get_vocab_size(), name))
        assert ("not known here ('kimi-k2')" in caplog.text) == told


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("llama-bpe", "In 12345, we'LL", ["In", " ", "123", "45", ",", " we", "'LL"]),
        ("qwen2", "a 12", ["a", " ", "1", "2"]),
        ("smollm", "a 12", ["a", " ", "1", "2"]),
        ("gpt-2", "a 12's", ["a", " 12", "'s"]),
        ("tekken", "helloWorld 12", ["hello", "World", " ", "1", "2"]),
        ("gpt-4o", "helloWorld's 1234", ["hello", "World's", " ", "123", "4"]),
        ("deepseek-v3", "a1234b", ["a", "123", "4", "b"]),
        ("deepseek-llm", "so A1, 25", ["so", " A", "1", ",", " ", "2", "5"]),
        ("falcon", "a 1234!", ["a", " ", "123", "4", "!"]),
    ],
)
def test_the_parts_of_a_text_are_the_published_ones(name, text, parts):
    made = Tokenizer.from_str(json.dumps({"model": {"type": "BPE", "vocab": {}, "merges": []}}))
    whole = {"version": "1.0", "pre_tokenizer": way_of(name, "llama").pre_tokenizer}
    whole["model"] = json.loads(made.to_str())["model"]
    cut = Tokenizer.from_str(json.dumps(whole)).pre_tokenizer.pre_tokenize_str(text)
    assert [piece.replace("Ġ", " ") for piece, _ in cut] == parts


def test_llama_3s_words_stay_whole_and_a_beginning_is_put_first(tmp_path):
    trained = train_byte_level()
    fields = byte_level_fields(trained, trained.get_vocab_size(), "llama-bpe")
    del fields["add_bos_token"]
    fields["merges"] = []
    found = read(tmp_path, fields)
    word = trained.token_to_id("Ġprompt")
    assert found.encode(" prompt") == [word]
    assert found.encode_special(" prompt") == [0, word]


def test_control_tokens_of_foreign_letters_are_tokens_of_the_table(tmp_path):
    trained = train_byte_level()
    fields = byte_level_fields(trained, trained.get_vocab_size(), "deepseek-v3")
    fields["tokens"] += ["<｜begin▁of▁sentence｜>", "<think>"]
    fields["token_type"] += [CONTROL, USER_DEFINED]
    found = read(tmp_path, fields)
    size = len(fields["tokens"])
    assert found.encode("<｜begin▁of▁sentence｜>a<think>") == [
        size - 2,
        trained.token_to_id("a"),
        size - 1,
    ]
    assert found.masks.special[size - 2] and not found.masks.special[size - 1]


def test_a_tokenizer_that_cannot_be_rebuilt_still_names_the_rows(tmp_path):
    fields = {"model": "rwkv", "tokens": ["<s>", "a", "b"], "token_type": [CONTROL, NORMAL, NORMAL]}
    found = read(tmp_path, fields, "rwkv6")
    assert found.tokens == ("<s>", "a", "b")
    assert found.masks.special.tolist() == [True, False, False]
    with pytest.raises(ValueError, match="no tokenizer"):
        found.encode("a")


def test_a_file_without_a_vocabulary_has_rows_by_number(tmp_path):
    assert read(tmp_path, {"model": "none"}, "llama", rows=2).tokens == ("<row 0>", "<row 1>")


def test_kinds_that_do_not_match_the_tokens_are_refused(tmp_path):
    fields = {"model": "gpt2", "tokens": ["a", "b"], "token_type": [1]}
    with pytest.raises(ModelNotFoundError, match="2 tokens and 1 kinds"):
        read(tmp_path, fields)


def test_a_vocabulary_made_to_take_for_ever_is_refused(tmp_path):
    long = "".join(chr(0x4E00 + row % 20_000) for row in range(200_000))
    tokens = [f"{row}{long}" for row in range(100)]
    fields = {"model": "llama", "tokens": tokens, "token_type": [NORMAL] * 100}
    with pytest.raises(ModelNotFoundError, match="letters"):
        read(tmp_path, fields)
