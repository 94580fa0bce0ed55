"""What embedding layers multiply rows by: from the configuration, the layer itself, and in use."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModel

from probe.analysis.neighbours import nearest_tokens
from probe.tables import architectures, load_vocabulary
from probe.tables.built import build_table
from probe.tables.embedding_layers import bring_to_life, learn_multiplier
from tests.tables.tiny_models import V, assert_same, build, save

LAYERS = ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_decoder_layers")
ENCODER_DECODER = {
    "d_model": 12,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
}
UNLISTED: dict[str, dict[str, Any]] = {
    "biogpt": {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2},
    "m2m_100": ENCODER_DECODER,
    "blenderbot": ENCODER_DECODER | {"scale_embedding": True},
    "bigbird_pegasus": ENCODER_DECODER,
    "plbart": ENCODER_DECODER,
    "pegasus_x": ENCODER_DECODER,
    "vaultgemma": {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2},
    "minicpm3": {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2},
}


@pytest.mark.parametrize("asked", [None, False, True], ids=["left out", "declined", "asked"])
@pytest.mark.parametrize("model_type", architectures.FAMILIES)
def test_the_configuration_alone_tells_what_the_layer_does(
    model_type: str, asked: bool | None
) -> None:
    fields = {} if asked is None else {"scale_embedding": asked}
    config = CONFIG_MAPPING[model_type](**fields)
    for key in LAYERS:
        if isinstance(getattr(config, key, None), int):
            setattr(config, key, 1)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:1]
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    width = model.get_input_embeddings().weight.shape[1]
    told = architectures.FAMILIES[model_type].multiplier(fields, width)
    layer = model.get_input_embeddings()
    bring_to_life(model, layer)
    learned = learn_multiplier(layer)
    assert learned is not None
    assert [told.at("F32"), told.at("BF16")] == [learned.at("F32"), learned.at("BF16")]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("model_type", UNLISTED)
def test_rows_are_what_the_layer_of_an_unlisted_architecture_answers(
    model_type: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    config = CONFIG_MAPPING[model_type](vocab_size=V, **UNLISTED[model_type])
    model = AutoModel.from_config(config).to(dtype)
    loaded = AutoModel.from_pretrained(save(model, tmp_path), dtype=dtype)
    vocabulary = load_vocabulary(tmp_path)
    assert vocabulary.factor != 1
    assert_same(vocabulary, loaded.get_input_embeddings())


def _normed(kind: str) -> Any:
    """A model whose layer norms what it looks up."""
    sizes = {
        "vocab_size": V,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    return AutoModel.from_config(CONFIG_MAPPING[kind](**sizes))


def _with_a_token_of_its_own() -> Any:
    """A T5Gemma 2, whose layer answers to one id with a row of its own."""
    text = {
        "vocab_size": V,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
    }
    vision = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "image_size": 28,
        "patch_size": 14,
    }
    encoder = {"text_config": text, "vision_config": vision, "mm_tokens_per_image": 4}
    config = transformers.T5Gemma2Config(
        encoder=encoder, decoder=text, eoi_token_index=9, image_token_index=10, vocab_size=V
    )
    return transformers.T5Gemma2ForConditionalGeneration(config)


@pytest.mark.parametrize("layout", ["safetensors", "bin"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["inkling_text", "inkling2_text", "t5gemma2"])
@pytest.mark.slow
def test_a_layer_that_does_more_than_multiply_is_run(
    kind: str, dtype: torch.dtype, layout: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = _with_a_token_of_its_own() if kind == "t5gemma2" else _normed(kind)
    layer = model.get_input_embeddings()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    save(model.to(dtype), tmp_path, layout)
    loaded = type(model).from_pretrained(tmp_path, dtype=dtype)
    vocabulary = load_vocabulary(tmp_path)
    assert_same(vocabulary, loaded.get_input_embeddings())
    ids = [9, 3, 96]
    answers = loaded.get_input_embeddings()(torch.tensor([ids]))[0].detach().float().numpy()
    found = nearest_tokens(answers, vocabulary, "l2", k=1)
    assert found.ids[:, 0].tolist() == ids and found.scores.max() == 0
    assert np.shares_memory(
        vocabulary.layer._layer.weight.view(torch.int8).numpy(), vocabulary.table
    )
    before = vocabulary.fingerprint
    with torch.no_grad():
        next(p for p in loaded.get_input_embeddings().parameters() if p.ndim == 1).add_(1)
    save(loaded, tmp_path / "changed", layout)
    assert load_vocabulary(tmp_path / "changed").fingerprint != before


def test_a_layer_that_answers_with_its_scale_too_is_read(tmp_path: Path) -> None:
    config = transformers.IBertConfig(
        vocab_size=V,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    model = transformers.IBertForMaskedLM(config)
    vocabulary = load_vocabulary(save(model, tmp_path))
    np.testing.assert_array_equal(
        vocabulary.rows([5]), model.ibert.embeddings.word_embeddings.weight[[5]].detach()
    )


@pytest.mark.parametrize("family", ["gemma", "gemma2"])
def test_rows_are_what_the_first_layer_reads(family: str, tmp_path: Path) -> None:
    model = build(family, head=True)
    vocabulary = load_vocabulary(save(model, tmp_path))
    assert vocabulary.factor == pytest.approx(vocabulary.width**0.5)
    rows = torch.from_numpy(vocabulary.rows([[7, 3, 90]]))
    with torch.no_grad():
        by_rows = model(inputs_embeds=rows).logits
        by_ids = model(torch.tensor([[7, 3, 90]])).logits
    assert torch.equal(by_rows, by_ids)


def test_a_wrapper_around_a_scaling_model_tells_it_too() -> None:
    config = transformers.PaliGemmaConfig()
    built = build_table(config.to_dict(), "input", "it")
    width = config.text_config.hidden_size
    assert built.multiplier.at("F32") == np.float32(width**0.5)
