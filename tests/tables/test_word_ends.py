"""Tokenizers that mark where words end: text is text, tokens are readable, words are found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import pre_tokenizers, trainers
from transformers import CLIPTokenizer, CTRLTokenizer, OpenAIGPTTokenizer

from probe.analysis.compare.pairs import plain_string
from probe.analysis.token_filters import token_filter
from probe.tables import load_vocabulary
from tests.tables.tiny_models import write_json

TEXTS = ["a photo of a dog", "A photo: the film wasn't good, été!", "photography and 3 cats"]


def _trained(make: Callable[..., Any], special: list[str]) -> Any:
    """A tokenizer of transformers, trained on three texts."""
    backend = make().backend_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if make is CLIPTokenizer else [],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS * 4, trainer)
    model = json.loads(backend.to_str())["model"]
    return make(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])


MADE = {
    "clip_text_model": (CLIPTokenizer, ["<|startoftext|>", "<|endoftext|>"]),
    "openai-gpt": (OpenAIGPTTokenizer, ["<unk>"]),
}


def _folder(path: Path, model_type: str, rows: int) -> Path:
    """A model without tokenizer; GPT-1's and CTRL's tables are 16 wide."""
    path.mkdir()
    names = {"clip_text_model": "text_model.embeddings.token_embedding", "ctrl": "transformer.w"}
    sizes = {"n_embd": 16, "n_head": 2, "n_layer": 1, "dff": 16, "vocab_size": rows}
    write_json(path / "config.json", {"model_type": model_type, **sizes})
    table = np.zeros((rows, 16), np.float32)
    save_file(
        {f"{names.get(model_type, 'tokens_embed')}.weight": table}, path / "model.safetensors"
    )
    return path


@pytest.mark.parametrize("files", ["tokenizer.json", "vocab.json"])
@pytest.mark.parametrize("model_type", MADE)
def test_texts_read_as_transformers_reads_them(model_type: str, files: str, tmp_path: Path) -> None:
    tokenizer = _trained(*MADE[model_type])
    folder = _folder(tmp_path / "m", model_type, len(tokenizer) + 3)
    if files == "tokenizer.json":
        tokenizer.save_pretrained(folder)
        for older in ("vocab.json", "merges.txt"):
            (folder / older).unlink(missing_ok=True)
    else:
        tokenizer.backend_tokenizer.model.save(str(folder))
    vocabulary = load_vocabulary(folder)
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert vocabulary.encode(text) == ids
        assert vocabulary.decode(ids) == tokenizer.decode(ids)
    assert vocabulary.decode(vocabulary.encode("a photo")) == "a photo"
    shown = [vocabulary.tokens[row] for row in vocabulary.encode("a photo!")]
    assert shown == ["a␣", "photo␣", "!␣"]
    assert not any("</w>" in token for token in vocabulary.tokens)
    assert vocabulary.masks.special[: len(MADE[model_type][1])].all()


@pytest.mark.parametrize("model_type", MADE)
def test_words_are_what_a_token_can_be_alone(model_type: str, tmp_path: Path) -> None:
    tokenizer = _trained(*MADE[model_type])
    folder = _folder(tmp_path / "m", model_type, len(tokenizer))
    tokenizer.save_pretrained(folder)
    vocabulary = load_vocabulary(folder)
    words = {vocabulary.tokens[row] for row in np.flatnonzero(token_filter(vocabulary, ["words"]))}
    assert {"photo␣", "film␣", "3␣"} <= words
    assert not words & {"photo", "f", "!␣", "<unk>", "<|endoftext|>"}
    assert plain_string("photo␣") == plain_string("␣photo") == "photo"


def test_each_stack_of_fsmt_has_its_own_vocabulary(tmp_path: Path) -> None:
    from transformers import FSMTConfig, FSMTForConditionalGeneration

    source = {"<s>": 0, "a</w>": 1, "ph": 2, "o</w>": 3, "pho</w>": 4}
    target = source | {"ein</w>": 5}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    layers = {"encoder_layers": 1, "decoder_layers": 1}
    config = FSMTConfig(
        src_vocab_size=5, tgt_vocab_size=6, d_model=8, langs=["en", "de"], **heads, **layers
    )
    model = FSMTForConditionalGeneration(config)
    model.save_pretrained(tmp_path)
    write_json(tmp_path / "vocab-src.json", source)
    write_json(tmp_path / "vocab-tgt.json", target)
    (tmp_path / "merges.txt").write_text("p h 17\nph o</w> 9\nx y 3\n")
    for which in ("input", "encoder"):
        vocabulary = load_vocabulary(tmp_path, which=which)
        assert vocabulary.tokens == ("<s>", "a␣", "ph", "o␣", "pho␣")
    decoder = load_vocabulary(tmp_path, which="decoder")
    assert decoder.tokens[5] == "ein␣" and len(decoder) == 6
    assert decoder.decode([1, 4, 5]) == "a pho ein"


def test_tokens_that_say_a_word_goes_on_read_the_same(tmp_path: Path) -> None:
    vocab = {"<unk>": 0, "a": 1, "ph@@": 2, "o": 3, "pho": 4, "p@@": 5, "h@@": 6}
    folder = _folder(tmp_path / "m", "ctrl", len(vocab))
    write_json(folder / "vocab.json", vocab)
    (folder / "merges.txt").write_text("#version: 0.2\np h\nph o</w>\n")
    theirs = CTRLTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    vocabulary = load_vocabulary(folder)
    assert vocabulary.tokens == ("<unk>", "a␣", "ph", "o␣", "pho␣", "p", "h")
    for text in ("a pho", "o a", "pho pho"):
        ids = theirs(text).input_ids
        assert vocabulary.encode(text) == ids and vocabulary.decode(ids) == theirs.decode(ids)


def test_a_dictionary_of_fairseq_is_no_wordpiece(tmp_path: Path) -> None:
    """PhoBERT and BERTweet: token and count per line, behind four rows that no line names."""
    folder = _folder(tmp_path / "m", "clip_text_model", 10)
    (folder / "vocab.txt").write_text("a 90\nph@@ 60\no 50\npho 40\np@@ 2\nh@@ 1\n")
    (folder / "bpe.codes").write_text("p h 17\nph o</w> 9\n")
    vocabulary = load_vocabulary(folder)
    assert vocabulary.tokens[:7] == ("<s>", "<pad>", "</s>", "<unk>", "a␣", "ph", "o␣")
    assert vocabulary.decode([4, 5, 6]) == "a pho" and vocabulary.encode("a pho") == [4, 7]
