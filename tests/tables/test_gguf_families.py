"""A GGUF file's table, tokenizer and model against the same model saved by transformers."""

import numpy as np
import pytest
import torch
import transformers

from probe.errors import ModelNotFoundError
from probe.models import load_model
from probe.tables import load_vocabulary
from tests.tables.gguf_made import (
    TEXTS,
    byte_level_fields,
    causal,
    fast,
    quantised,
    tensors_of,
    train_byte_level,
    train_sentencepiece,
    unigram_fields,
    write_gguf,
)

ROWS = 448


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "architecture",
    ["llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt2", "bloom", "lfm2"],
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


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_theta": 500_000.0,
}
LONG = [1.0 + number for number in range(8)]
LONGROPE = {
    "rope_type": "longrope",
    "long_factor": LONG,
    "short_factor": [1.0 + number / 8 for number in range(8)],
    "original_max_position_embeddings": 64,
    "rope_theta": 10_000.0,
}


@pytest.mark.parametrize(
    ("architecture", "rope", "metadata", "tensors"),
    [
        ("llama", LLAMA3, {"rope.freq_base": 500_000.0}, {"rope_freqs.weight": None}),
        (
            "qwen2",
            {"rope_type": "linear", "factor": 4.0, "rope_theta": 10_000.0},
            {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
            {},
        ),
        (
            "qwen2",
            {
                "rope_type": "yarn",
                "factor": 2.0,
                "original_max_position_embeddings": 64,
                "rope_theta": 10_000.0,
            },
            {
                "rope.scaling.type": "yarn",
                "rope.scaling.factor": 2.0,
                "rope.scaling.original_context_length": 64,
            },
            {},
        ),
        (
            "phi3",
            LONGROPE,
            {"rope.scaling.original_context_length": 64},
            {
                "rope_factors_long.weight": LONGROPE["long_factor"],
                "rope_factors_short.weight": LONGROPE["short_factor"],
            },
        ),
    ],
    ids=["llama3", "linear", "yarn", "longrope"],
)
def test_positions_are_stretched_as_the_file_says(architecture, rope, metadata, tensors, tmp_path):
    known = {"original_max_position_embeddings": 64} if architecture == "phi3" else {}
    model, shared = causal(architecture, ROWS, rope_parameters=rope, **known)
    every = tensors_of(model, architecture)
    for name, values in tensors.items():
        made = llama3_divisors(8, 500_000.0) if values is None else np.array(values)
        every[name] = quantised(made.astype(np.float32), "F32")
    file = write_gguf(
        tmp_path / "model.gguf",
        architecture,
        byte_level_fields(train_byte_level(), ROWS, "gpt-2"),
        shared | metadata,
        every,
    )
    ids = torch.arange(96)[None]
    with torch.inference_mode():
        found, expected = load_model(file).model(ids).logits, model(ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    plain, _ = causal(architecture, ROWS)
    plain.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert not torch.allclose(plain(ids).logits, expected, rtol=1e-4, atol=1e-5)


def llama3_divisors(count, theta, factor=8.0, context=8192):
    """Llama 3.1's rule, case by case."""
    found = []
    for number in range(count):
        wave = 2 * np.pi * theta ** (number / count)
        if wave < context / 4:
            found.append(1.0)
        elif wave > context:
            found.append(factor)
        else:
            smooth = (context / wave - 1) / 3
            found.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(found)


def test_frequencies_of_no_known_rule_are_not_run_wrongly(tmp_path):
    model, metadata = causal("llama", ROWS)
    tensors = tensors_of(model, "llama")
    strange = np.linspace(1, 3, 8, dtype=np.float32)
    tensors["rope_freqs.weight"] = quantised(strange, "F32")
    fields = byte_level_fields(train_byte_level(), ROWS, "gpt-2")
    file = write_gguf(tmp_path / "model.gguf", "llama", fields, metadata, tensors)
    with pytest.raises(ModelNotFoundError, match="stretched by no rule that transformers has"):
        load_model(file)
    assert len(load_vocabulary(file)) == ROWS


@pytest.mark.parametrize("feed_forward", ["gated-gelu", "relu"])
def test_an_encoder_decoder_model_has_one_table_for_its_stacks_and_runs(feed_forward, tmp_path):
    torch.manual_seed(0)
    sizes = {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4}
    config = transformers.T5Config(
        vocab_size=ROWS, **sizes, feed_forward_proj=feed_forward,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config).eval()
    metadata = {
        "context_length": 512,
        "embedding_length": 64,
        "feed_forward_length": 96,
        "block_count": 2,
        "attention.head_count": 4,
        "attention.key_length": 16,
        "attention.value_length": 16,
        "attention.layer_norm_epsilon": 1e-6,
        "attention.relative_buckets_count": 32,
        "decoder_start_token_id": 0,
    }
    library = train_sentencepiece(tmp_path, "unigram", 200)
    fields = unigram_fields(library, ROWS, (tmp_path / "spm.model").read_bytes())
    file = write_gguf(tmp_path / "m.gguf", "t5", fields, metadata, tensors_of(model, "t5"))
    table = model.shared.weight.detach().numpy()
    for which in ("input", "encoder", "decoder"):
        np.testing.assert_array_equal(load_vocabulary(file, None, which).table, table)
    running = load_model(file)
    given = {"input_ids": torch.tensor([[5, 6, 7]]), "decoder_input_ids": torch.tensor([[0, 4]])}
    with torch.inference_mode():
        found, expected = running.model(**given).logits, model(**given).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
