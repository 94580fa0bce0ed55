"""What embedding layers multiply rows by: from the configuration, the layer itself, and in use."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tiny_models import V, assert_same, build, save
from transformers import CONFIG_MAPPING, AutoModel

from probe.tables import architectures, load_vocabulary
from probe.tables.built import build_table
from probe.tables.multiplier import learn_multiplier

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
    learned = learn_multiplier(model, model.get_input_embeddings())
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
