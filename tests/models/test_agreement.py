"""A loaded model reads texts given as embeddings as it reads token ids, or is refused before."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from probe.errors import ModelNotFoundError
from probe.models import FrozenModel, Row, load_model
from probe.models.frozen import position_limit
from probe.notes import collected
from probe.prompt import Provenance, SoftPrompt
from probe.verbs.prompts import LoadedPrompt, note_doubts
from tests.models.conftest import SIZES, random_ids, word_tokenizer

BART_LIKE = {
    "vocab_size": 64,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "scale_embedding": True,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 1,
    "forced_eos_token_id": None,
}
FALCON_H1 = {
    "embedding_multiplier": 5.0,
    "num_key_value_heads": 2,
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_d_ssm": 64,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
}
GEMMA3N = {
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": [48] * 3,
    "layer_types": ["sliding_attention", "full_attention", "full_attention"],
    "num_kv_shared_layers": 1,
    "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 64,
    "laurel_rank": 8,
    "activation_sparsity_pattern": [0.0] * 3,
}


def saved(folder: Path, kind: str, sizes: dict[str, Any], before: str = "", after: str = "") -> Any:
    """A random model with its tokenizer in a folder; every weight does something."""
    name = re.split("For|MTModel|WithLMHead|LMHead", kind)[0]
    name += "Text" * kind.startswith(("Gemma3n", "Gemma4"))
    torch.manual_seed(0)
    model = getattr(transformers, kind)(getattr(transformers, f"{name}Config")(**sizes)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.25 * torch.randn_like(weight))
    model.save_pretrained(folder)
    word_tokenizer(before, after).save_pretrained(folder)
    return type(model).from_pretrained(folder).eval()


def edit(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def losses(model: FrozenModel, rows: list[Row], prompt: SoftPrompt | None = None) -> torch.Tensor:
    return model.losses(None if prompt is None else model.injection_of([prompt]), rows)


@pytest.mark.parametrize("kind", ["PegasusForConditionalGeneration", "MarianMTModel"])
def test_what_an_encoder_multiplies_ids_by_is_learned(tmp_path: Path, kind: str) -> None:
    """Pegasus and Marian scale looked-up ids in the encoder, but not embeddings."""
    raw = saved(tmp_path, kind, BART_LIKE)
    model = load_model(tmp_path, device="cpu")
    rows = [Row(ids, ((8, 9),), 0) for ids in random_ids(9, 5)]
    with torch.no_grad():
        true = [
            raw(input_ids=torch.tensor([row.prefix_ids]), labels=torch.tensor(row.options)).loss
            for row in rows
        ]
    torch.testing.assert_close(losses(model, rows), torch.stack(true), atol=1e-5, rtol=1e-5)


def test_the_factor_is_learned_in_half_precision_too(tmp_path: Path) -> None:
    saved(tmp_path, "PegasusForConditionalGeneration", BART_LIKE)
    rows = [Row(ids, ((8, 9),), 0) for ids in random_ids(9, 5)]
    whole, half = (
        losses(load_model(tmp_path, device="cpu", dtype=dtype), rows)
        for dtype in ("float32", "bfloat16")
    )
    torch.testing.assert_close(half, whole, atol=0.1, rtol=0.02)


def test_a_prompt_of_peft_is_noted_where_peft_leaves_the_factor_out(tmp_path: Path) -> None:
    saved(tmp_path, "PegasusForConditionalGeneration", BART_LIKE)
    model = load_model(tmp_path, device="cpu")
    assert model.input_factor == pytest.approx(32**0.5)
    notes = []
    for origin in ("peft", "npy"):
        prompt = SoftPrompt(origin, np.ones((2, 32)), provenance=Provenance(origin, "", ""))
        with collected(said=False) as found:
            note_doubts(model, [LoadedPrompt(origin, prompt, str(tmp_path), None)])
        notes += found
    assert len(notes) == 1 and "leaves out the factor 5.657" in notes[0]


def test_a_model_that_fails_in_half_precision_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """DeBERTa masks by the smallest float32, which bfloat16 cannot hold."""
    saved(tmp_path, "DebertaForMaskedLM", SIZES, "<bos>", "<eos>")
    assert load_model(tmp_path, device="cpu").family == "masked"
    with pytest.raises(ModelNotFoundError, match="in bfloat16.*use --dtype float32"):
        load_model(tmp_path, device="cpu", dtype="bfloat16")


def test_a_model_that_gives_one_text_different_numbers_is_refused(tmp_path: Path) -> None:
    axial = {"axial_pos_shape": (8, 8), "axial_pos_embds_dim": (16, 16), "is_decoder": False}
    sizes = {
        "attention_head_size": 8,
        "feed_forward_size": 48,
        "attn_layers": ["local", "lsh", "lsh"],
    }
    saved(tmp_path, "ReformerForMaskedLM", SIZES | axial | sizes | {"hash_seed": None})
    with pytest.raises(ModelNotFoundError, match="set hash_seed"):
        load_model(tmp_path, device="cpu")


def test_a_prompt_that_is_tokens_acts_as_these_where_ids_are_multiplied(tmp_path: Path) -> None:
    raw = saved(tmp_path, "FalconH1ForCausalLM", SIZES | FALCON_H1)
    model = load_model(tmp_path, device="cpu")
    (ids, text) = random_ids(4, 6)
    prompt = SoftPrompt("tokens", raw.get_input_embeddings()(torch.tensor(ids)).detach().numpy())
    together = losses(model, [Row(text, ((9,),), 0)], prompt)
    with torch.no_grad():
        logits = raw(input_ids=torch.tensor([[*ids, *text]])).logits[0, -1]
    torch.testing.assert_close(together[0], -logits.log_softmax(-1)[9], atol=1e-5, rtol=1e-5)


def test_rows_of_one_length_run_together_where_padding_counts(tmp_path: Path) -> None:
    """FNet mixes positions by a Fourier transform, which knows no mask."""
    raw = saved(tmp_path, "FNetForMaskedLM", SIZES, "<bos>", "<eos>")
    model = load_model(tmp_path, device="cpu")
    assert not model.pads
    rows = [Row((2, *ids), ((9,), (8, 7)), 0, suffix_ids=(3,)) for ids in random_ids(6, 3, 6)]
    for row, loss in zip(rows, losses(model, rows), strict=True):
        with torch.no_grad():
            logits = raw(input_ids=torch.tensor([[*row.prefix_ids, 4, 3]])).logits[0, -2]
        torch.testing.assert_close(loss, -logits.log_softmax(-1)[9], atol=1e-5, rtol=1e-5)


def test_a_model_that_needs_ids_in_every_layer_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "Gemma3nForCausalLM", SIZES | GEMMA3N)
    with pytest.raises(ModelNotFoundError, match="does not read embeddings as it reads the token"):
        load_model(tmp_path, device="cpu")


def test_a_model_that_fails_on_embeddings_is_refused_in_one_line(tmp_path: Path) -> None:
    layers = {"layer_types": ["sliding_attention", "full_attention", "full_attention"]}
    sizes = {"num_key_value_heads": 2, "head_dim": 8, "hidden_size_per_layer_input": 8}
    saved(
        tmp_path, "Gemma4ForCausalLM", SIZES | sizes | layers | {"vocab_size_per_layer_input": 64}
    )
    with pytest.raises(ModelNotFoundError, match="given embeddings it fails with RuntimeError"):
        load_model(tmp_path, device="cpu")


@pytest.mark.parametrize("kind", ["BertLMHeadModel", "XLNetLMHeadModel"])
def test_a_model_whose_predictions_see_what_follows_is_not_causal(
    tmp_path: Path, kind: str
) -> None:
    """BERT is causal with `is_decoder`; XLNet, which has no limit of positions, by its order."""
    sizes = {k: v for k, v in SIZES.items() if kind[0] == "B" or k != "max_position_embeddings"}
    saved(tmp_path, kind, {"d_inner": 48, "d_head": 8, "is_decoder": False} | sizes)
    with pytest.raises(ModelNotFoundError, match="otherwise when it sees what follows"):
        load_model(tmp_path, device="cpu")


def test_a_limit_of_minus_one_is_no_limit() -> None:
    assert position_limit(transformers.XLNetConfig()) is None
    assert position_limit(transformers.BertConfig(max_position_embeddings=64)) == 64


def test_a_masked_model_without_a_mask_token_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "BertForMaskedLM", SIZES, "<bos>", "<eos>")
    edit(tmp_path / "tokenizer_config.json", mask_token=None)
    with pytest.raises(ModelNotFoundError, match="no mask token"):
        load_model(tmp_path, device="cpu")


def test_an_encoder_decoder_without_a_start_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "BartForConditionalGeneration", BART_LIKE)
    edit(tmp_path / "config.json", decoder_start_token_id=None)
    edit(tmp_path / "generation_config.json", decoder_start_token_id=None)
    with pytest.raises(ModelNotFoundError, match="add decoder_start_token_id"):
        load_model(tmp_path, device="cpu")


def test_the_head_decides_between_masked_and_causal(tmp_path: Path) -> None:
    """Flaubert's masked class is named like a causal one."""
    sizes = {"vocab_size": 64, "emb_dim": 32, "n_layers": 2, "n_heads": 4, "mask_index": 4}
    saved(tmp_path, "FlaubertWithLMHeadModel", sizes)
    assert load_model(tmp_path, device="cpu").family == "masked"
