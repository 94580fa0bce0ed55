"""A GGUF file's table, tokenizer and model against the same model saved by transformers."""

import numpy as np
import pytest
import torch

from probe.models import load_model
from probe.tables import load_vocabulary
from tests.tables.gguf_made import (
    TEXTS,
    byte_level_fields,
    causal,
    fast,
    tensors_of,
    train_byte_level,
    write_gguf,
)

ROWS = 448


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "architecture", ["llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt2", "bloom"]
)
def test_a_float_file_is_the_model_that_transformers_saved(architecture, tmp_path):
    tokenizer = train_byte_level()
    model, metadata = causal(architecture, ROWS)
    saved = tmp_path / "saved"
    model.save_pretrained(saved)
    fast(tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>").save_pretrained(saved)
    file = write_gguf(
        tmp_path / "model.gguf",
        architecture,
        byte_level_fields(tokenizer, ROWS, "gpt-2"),
        metadata,
        tensors_of(model, architecture),
    )
    theirs, ours = load_vocabulary(saved), load_vocabulary(file)
    assert ours.tokens == theirs.tokens
    for kind, mask in vars(theirs.masks).items():
        np.testing.assert_array_equal(getattr(ours.masks, kind), mask, err_msg=kind)
    assert ours.factor == theirs.factor
    np.testing.assert_array_equal(ours.rows(slice(None)), theirs.rows(slice(None)))
    for text in TEXTS:
        assert ours.encode(text) == theirs.encode(text)
        assert ours.decode(ours.encode(text)) == text
    running, expected = load_model(file), load_model(saved)
    ids = torch.tensor([ours.encode(TEXTS[0])])
    with torch.inference_mode():
        torch.testing.assert_close(
            running.model(ids).logits, expected.model(ids).logits, rtol=1e-5, atol=1e-5
        )
    assert running.tokenizer(TEXTS[1]).input_ids == theirs.encode_special(TEXTS[1])
