"""The table read from files is the one the loaded model looks tokens up in."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import CONFIG_MAPPING, AutoModel

from probe.errors import ModelNotFoundError
from probe.tables import architectures, load_vocabulary
from tests.tables.tiny_models import FAMILIES, V, assert_same, build, save, write_json

CLASSES = pytest.mark.parametrize("head", [False, True], ids=["base", "head"])


@CLASSES
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("layout", "dtype"),
    [
        ("safetensors", torch.float32),
        ("safetensors shards", torch.bfloat16),
        ("bin", torch.float16),
    ],
    ids=["safetensors-fp32", "shards-bf16", "bin-fp16"],
)
def test_table_is_that_of_the_loaded_model(
    family: str, head: bool, layout: Any, dtype: torch.dtype, tmp_path: Path
) -> None:
    folder = save(build(family, head=head, dtype=dtype), tmp_path, layout)
    loaded = AutoModel.from_pretrained(folder, dtype=dtype)
    vocabulary = load_vocabulary(folder)
    assert len(vocabulary) == V
    assert_same(vocabulary, loaded.get_input_embeddings())


@CLASSES
@pytest.mark.parametrize("family", ["t5", "mt5", "bart", "mbart"])
@pytest.mark.parametrize("layout", ["safetensors", "safetensors shards", "bin"])
def test_each_stack_of_an_encoder_decoder_model_has_its_table(
    family: str, head: bool, layout: Any, tmp_path: Path
) -> None:
    folder = save(build(family, head=head), tmp_path, layout)
    loaded = AutoModel.from_pretrained(folder)
    assert_same(load_vocabulary(folder, which="encoder"), loaded.encoder.embed_tokens)
    assert_same(load_vocabulary(folder, which="decoder"), loaded.decoder.embed_tokens)


def test_a_stack_saved_alone_keeps_its_table(tmp_path: Path) -> None:
    from transformers import T5Config, T5EncoderModel

    model = T5EncoderModel(T5Config(vocab_size=V, **FAMILIES["t5"].sizes))
    folder = save(model, tmp_path)
    assert_same(load_vocabulary(folder, which="encoder"), model.get_input_embeddings())


def test_stacks_with_tables_of_their_own_are_told_apart(tmp_path: Path) -> None:
    model = build("t5", head=False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    state["decoder.embed_tokens.weight"] += 1
    model.config.save_pretrained(tmp_path)
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = AutoModel.from_pretrained(tmp_path)
    assert not torch.equal(loaded.encoder.embed_tokens.weight, loaded.decoder.embed_tokens.weight)
    assert_same(load_vocabulary(tmp_path, which="encoder"), loaded.encoder.embed_tokens)
    assert_same(load_vocabulary(tmp_path, which="decoder"), loaded.decoder.embed_tokens)


@pytest.mark.parametrize("model_type", ["bart", "mbart"])
def test_a_table_that_no_stack_reads_is_not_taken_for_the_input(
    model_type: str, tmp_path: Path
) -> None:
    tied = build(model_type, head=True)
    model = type(tied)(type(tied.config)(**{**tied.config.to_dict(), "tie_word_embeddings": False}))
    stack = model.get_encoder().embed_tokens
    assert not torch.equal(stack.weight, model.get_input_embeddings().weight)
    assert_same(load_vocabulary(save(model, tmp_path)), stack)


def test_opt_prompts_live_in_the_narrow_table(tmp_path: Path) -> None:
    model = build("opt", head=True)
    vocabulary = load_vocabulary(save(model, tmp_path))
    assert vocabulary.width == 8 != model.config.hidden_size


@pytest.mark.parametrize("model_type", architectures.FAMILIES)
def test_known_names_agree_with_the_architecture(model_type: str) -> None:
    config = CONFIG_MAPPING[model_type]()
    for key in ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_decoder_layers"):
        if isinstance(getattr(config, key, None), int):
            setattr(config, key, 1)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:1]
    family = architectures.FAMILIES[model_type]
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    bare, prefixed = family.names("input")[:2]
    assert parameters[bare] is model.get_input_embeddings().weight
    assert prefixed == f"{model.base_model_prefix}.{bare}"
    if config.is_encoder_decoder:
        for which in ("encoder", "decoder"):
            name = family.names(which)[0]
            assert parameters[name] is getattr(model, which).embed_tokens.weight


@CLASSES
def test_an_unlisted_architecture_is_asked_on_the_meta_device(head: bool, tmp_path: Path) -> None:
    from transformers import BioGptConfig, BioGptForCausalLM, BioGptModel

    assert "biogpt" not in architectures.FAMILIES
    sizes = {k: v for k, v in FAMILIES["bert"].sizes.items() if k != "pad_token_id"}
    config = BioGptConfig(vocab_size=V, **sizes)
    folder = save((BioGptForCausalLM if head else BioGptModel)(config), tmp_path)
    loaded = AutoModel.from_pretrained(folder)
    assert_same(load_vocabulary(folder), loaded.get_input_embeddings())


@pytest.mark.parametrize("model_type", ["no_such_family", None, 7, ["llama"], {"a": 1}, ""])
def test_an_unknown_model_type_is_one_clear_error(model_type: object, tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": model_type})
    with pytest.raises(ModelNotFoundError, match="expected one that transformers builds"):
        load_vocabulary(tmp_path)


def test_code_that_comes_with_a_model_is_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "modeling.py").write_text(f"open({str(ran)!r}, 'w')\nclass C: pass\n")
    auto_map = {name: "modeling.C" for name in ("AutoConfig", "AutoModel")}
    write_json(tmp_path / "config.json", {"model_type": "mystery", "auto_map": auto_map})
    with pytest.raises(ModelNotFoundError, match="'mystery'"):
        load_vocabulary(tmp_path)
    write_json(tmp_path / "config.json", {"model_type": "biogpt", "auto_map": auto_map})
    with pytest.raises(ModelNotFoundError, match="no weights"):
        load_vocabulary(tmp_path)
    assert not ran.exists()


def test_a_decoder_only_model_has_no_decoder_table(tmp_path: Path) -> None:
    folder = save(build("gpt2", head=False), tmp_path)
    with pytest.raises(ModelNotFoundError, match="not an encoder–decoder model.*which='input'"):
        load_vocabulary(folder, which="decoder")
