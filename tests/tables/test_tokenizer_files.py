"""Whichever files a tokenizer came in, it encodes and shows the same."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from probe.errors import ModelNotFoundError, ProbeError
from probe.tables import load_vocabulary
from probe.vocabulary import Vocabulary

TEXTS = [
    "The film was good, and the été was long.",
    "It is not a bad film; it is a good film!",
    "Good acting, bad plot, no ending.",
] * 3
ROWS = 420


def _folder(path: Path, model_type: str) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": model_type}))
    names = {"llama": "model.embed_tokens.weight", "t5": "shared.weight"}
    name = names.get(model_type, "wte.weight" if model_type == "gpt2" else None)
    name = name or "embeddings.word_embeddings.weight"
    save_file({name: np.zeros((ROWS, 2), np.float32)}, path / "model.safetensors")
    return path


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _assert_same(found: Vocabulary, want: Vocabulary) -> None:
    assert found.tokens == want.tokens
    for name, flags in vars(want.masks).items():
        np.testing.assert_array_equal(getattr(found.masks, name), flags, err_msg=name)
    for text in [*TEXTS, " a\u00e9 unseen\n\nwords", ""]:
        assert found.encode(text) == want.encode(text)
        assert found.decode(want.encode(text)) == want.decode(want.encode(text))
    assert found.tokenizer_sha256 not in ("", want.tokenizer_sha256)


@pytest.mark.parametrize(
    ("make", "model_type"), [(_byte_level, "gpt2"), (_wordpiece, "bert")], ids=["gpt2", "bert"]
)
def test_older_files_read_like_tokenizer_json(make, model_type: str, tmp_path: Path) -> None:
    new, old = (_folder(tmp_path / name, model_type) for name in ("new", "old"))
    tokenizer = make()
    tokenizer.save(str(new / "tokenizer.json"))
    saved = tokenizer.model.save(str(old))
    assert {Path(name).name for name in saved} <= {"vocab.json", "merges.txt", "vocab.txt"}
    _assert_same(load_vocabulary(old), load_vocabulary(new))


def test_a_cased_vocabulary_keeps_capitals(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", "bert")
    (folder / "vocab.txt").write_text("[UNK]\nGood\ngood\n")
    assert load_vocabulary(folder).encode("Good good") == [2, 2]
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert load_vocabulary(folder).encode("Good good") == [1, 2]


def test_tokens_added_in_configuration_files_are_known(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", "gpt2")
    _byte_level().model.save(str(folder))
    (folder / "added_tokens.json").write_text('{"<task>": 401, "bad": -1, "worse": "x"}')
    decoder = {"402": {"content": "<end>", "special": True}, "x": {"content": "y"}, "403": 7}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"added_tokens_decoder": decoder, "eos_token": {"content": "<end>"}})
    )
    vocabulary = load_vocabulary(folder)
    assert vocabulary.tokens[401:404] == ("<task>", "<end>", "<row 403>")
    assert vocabulary.masks.added[[401, 402]].all()
    assert vocabulary.masks.special[[0, 401, 402]].tolist() == [True, False, True]
    assert vocabulary.encode("a<end>")[-1] == 402
    assert vocabulary.decode([402, 403]) == "<end><row 403>"
    assert vocabulary.encode_special("a") is None  # these files do not say what goes around


@pytest.mark.parametrize("listed", [None, 7, "<end>", {"content": "<end>"}])
def test_special_tokens_that_are_no_list_are_passed_over(listed, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", "bert")
    (folder / "vocab.txt").write_text("[UNK]\ngood\n<end>\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"additional_special_tokens": listed}))
    assert load_vocabulary(folder).masks.special[:3].tolist() == [True, False, False]


def test_half_of_a_character_is_one_clear_error(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", "gpt2")
    _byte_level().save(str(folder / "tokenizer.json"))
    vocabulary = load_vocabulary(folder)
    for encode in (vocabulary.encode, vocabulary.encode_special):
        with pytest.raises(ProbeError, match=r"found half of a character in 'good\\udcff'"):
            encode("good\udcff")


def test_a_sentencepiece_model_reads_like_its_own_library(tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=320,
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    folder = _folder(tmp_path / "m", "llama")
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = load_vocabulary(folder)
    for text in TEXTS:
        assert vocabulary.encode(text) == processor.encode(text)
        assert vocabulary.decode(processor.encode(text)) == text
    size = processor.get_piece_size()
    pieces = [processor.id_to_piece(row).replace("▁", "␣") for row in range(size)]
    assert list(vocabulary.tokens[:size]) == pieces
    assert vocabulary.masks.byte.sum() == 256
    assert vocabulary.masks.special[:4].tolist() == [True, True, True, False]
    assert vocabulary.tokens[-1] == f"<row {ROWS - 1}>"
    assert vocabulary.decode([ROWS - 1]) == f"<row {ROWS - 1}>"
    with pytest.raises(ProbeError, match="half of a character"):
        vocabulary.encode("\udcff")


def test_a_family_that_shifts_sentencepiece_ids_is_not_misread(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", "xlm-roberta")
    (folder / "tokenizer.model").write_bytes(b"anything")
    assert load_vocabulary(folder).tokens[:2] == ("<row 0>", "<row 1>")


def test_a_damaged_sentencepiece_model_is_one_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    folder = _folder(tmp_path / "m", "t5")
    (folder / "spiece.model").write_bytes(b"\xff\xff damaged")
    with pytest.raises(ModelNotFoundError, match="spiece.model is no SentencePiece model"):
        load_vocabulary(folder)


def test_a_tokenizer_the_library_refuses_is_one_clear_error_when_it_is_asked(
    tmp_path: Path,
) -> None:
    folder = _folder(tmp_path / "m", "bert")
    (folder / "tokenizer.json").write_text('{"model": {"type": "Riddle", "vocab": {"a": 0}}}')
    vocabulary = load_vocabulary(folder)
    assert vocabulary.tokens[0] == "a"
    with pytest.raises(ModelNotFoundError, match="tokenizer.json is not readable"):
        vocabulary.encode("a")


def test_the_same_tokenizer_and_table_have_the_same_fingerprint(tmp_path: Path) -> None:
    folders = [_folder(tmp_path / name, "gpt2") for name in "ab"]
    for folder in folders:
        _byte_level().save(str(folder / "tokenizer.json"))
    one, other = map(load_vocabulary, folders)
    assert one.fingerprint == other.fingerprint
    text = (folders[1] / "tokenizer.json").read_text()
    (folders[1] / "tokenizer.json").write_text(text + " ")
    assert load_vocabulary(folders[1]).fingerprint != one.fingerprint


def test_a_vocabulary_beside_a_sentencepiece_model_numbers_its_pieces(tmp_path: Path) -> None:
    """Marian and M2M100: texts are cut by one file, and another says which row a piece has."""
    sentencepiece = pytest.importorskip("sentencepiece")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [processor.id_to_piece(row) for row in range(processor.get_piece_size())]
    vocab = {piece: len(pieces) - row for row, piece in enumerate(pieces)} | {"__de__": 90}
    for cuts in ("source.spm", "sentencepiece.bpe.model"):
        folder = _folder(tmp_path / cuts, "t5")
        (folder / "vocab.json").write_text(json.dumps(vocab))
        (folder / cuts).write_bytes(model.getvalue())
        vocabulary = load_vocabulary(folder)
        assert vocabulary.encode(TEXTS[0]) == [
            vocab[p] for p in processor.encode_as_pieces(TEXTS[0])
        ]
        assert vocabulary.decode(vocabulary.encode(TEXTS[1])) == processor.decode(
            processor.encode(TEXTS[1])
        )
        assert vocabulary.tokens[90] == "__de__" and vocabulary.tokens[vocab["</s>"]] == "</s>"
        assert vocabulary.masks.special[vocab["</s>"]] and not vocabulary.masks.special[90]


def test_a_wrapped_language_model_is_read_by_its_own_sentencepiece(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    folder = _folder(tmp_path / "m", "llama")
    config = {"model_type": "llava", "text_config": {"model_type": "llama"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.model").write_bytes(b"damaged")
    with pytest.raises(ModelNotFoundError, match="tokenizer.model is no SentencePiece model"):
        load_vocabulary(folder)


@pytest.mark.parametrize(
    ("config", "ids"),
    [
        ({}, [2, 3, 4]),
        ({"strip_accents": False}, [1, 3, 4]),
        ({"tokenize_chinese_chars": False}, [2, 5]),
    ],
)
def test_words_are_cut_as_the_configuration_says(config, ids, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", "bert")
    tokens = ["[UNK]", "été", "ete", "東", "京", "東京"]
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert load_vocabulary(folder).encode("été 東京") == ids


@pytest.mark.parametrize(
    "config",
    [{"tokenizer_class": "BertJapaneseTokenizer"}, {"auto_map": {"AutoTokenizer": ["x.Y", None]}}],
)
def test_texts_that_are_cut_otherwise_than_berts_are_not_cut(config, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", "bert")
    (folder / "vocab.txt").write_text("[UNK]\ngood\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    vocabulary = load_vocabulary(folder)
    assert vocabulary.tokens[1] == "good"
    with pytest.raises(ValueError, match="has no tokenizer file known here"):
        vocabulary.encode("good")
