"""Base models are told by what their files hold: whatever transformers loads whole is read."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from probe.errors import ModelNotFoundError
from probe.tables import Which, load_vocabulary
from tests.tables.tiny_models import V, assert_same, write_json
from tests.tables.wrapped_models import WRAPPERS, build_wrapped, save_as_published


@pytest.mark.parametrize("published", [False, True], ids=["as saved", "as published"])
@pytest.mark.parametrize("model_type", WRAPPERS)
def test_a_language_model_within_a_larger_one_is_read(
    model_type: str, published: bool, tmp_path: Path
) -> None:
    model = build_wrapped(model_type)
    if published:
        save_as_published(model, model_type, tmp_path)
    else:
        model.save_pretrained(tmp_path)
    loaded, report = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    vocabulary = load_vocabulary(tmp_path)
    assert_same(vocabulary, loaded.get_input_embeddings())


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_stacks_within_a_larger_model_have_their_tables(which: Which, tmp_path: Path) -> None:
    model = build_wrapped("blip-2")
    model.save_pretrained(tmp_path)
    stack = getattr(model.language_model, which)
    assert_same(load_vocabulary(tmp_path, which=which), stack.embed_tokens)


@pytest.mark.process
@pytest.mark.parametrize("model_type", ["gemma3", "llava", "mistral3", "clip"])
def test_models_around_a_listed_family_are_read_without_torch(
    model_type: str, tmp_path: Path
) -> None:
    if model_type == "clip":
        _clip("CLIPModel").save_pretrained(tmp_path)
    else:
        save_as_published(build_wrapped(model_type), model_type, tmp_path)
    code = (
        "import sys; from probe.tables import load_vocabulary\n"
        f"assert len(load_vocabulary(sys.argv[1])) == {V}; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


_TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
_TEXT_TOWER = _TOWER | {"vocab_size": V, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def _clip(class_name: str) -> Any:
    torch.manual_seed(1)
    family = class_name.split("Text")[0].removesuffix("Model")
    if "Text" in class_name:
        config = getattr(transformers, f"{family}TextConfig")(**_TEXT_TOWER)
    else:
        vision = _TOWER | {"image_size": 16, "patch_size": 8}
        make = getattr(transformers, f"{family}Config")
        config = make(text_config=_TEXT_TOWER, vision_config=vision)
    return getattr(transformers, class_name)(config)


def _save_with_old_names(model: Any, folder: Path) -> None:
    """As before transformers 5: the tower's tensors behind `text_model.`."""
    model.save_pretrained(folder)
    weights = folder / "model.safetensors"
    state = {
        name
        if name.startswith(("text_", "vision_", "logit", "visual_"))
        else f"text_model.{name}": v
        for name, v in load_file(weights).items()
    }
    save_file(state, weights, metadata={"format": "pt"})


@pytest.mark.parametrize("old", [False, True], ids=["as saved", "as published"])
@pytest.mark.parametrize(
    "class_name",
    [
        *("CLIPModel", "CLIPTextModel", "CLIPTextModelWithProjection", "SiglipModel"),
        *("SiglipTextModel", "Siglip2Model"),
    ],
)
def test_every_layout_of_a_clip_model_is_read(class_name: str, old: bool, tmp_path: Path) -> None:
    model = _clip(class_name)
    if old:
        _save_with_old_names(model, tmp_path)
    else:
        model.save_pretrained(tmp_path)
    loaded, report = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    tower = getattr(loaded, "text_model", loaded)
    assert_same(load_vocabulary(tmp_path), tower.get_input_embeddings())


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A diffusers pipeline of two text encoders, their tokenizers in folders of their own."""
    parts = {"_class_name": "StableDiffusionXLPipeline"}
    for number in ("", "_2"):
        parts[f"text_encoder{number}"] = ["transformers", "CLIPTextModel"]
        model = _clip("CLIPTextModelWithProjection" if number else "CLIPTextModel")
        _save_with_old_names(model, tmp_path / f"text_encoder{number}")
        tokenizer = tmp_path / f"tokenizer{number}"
        tokenizer.mkdir()
        vocab = {
            token: row for row, token in enumerate(["<|endoftext|>", "a", "a</w>", f"b{number}"])
        }
        write_json(tokenizer / "vocab.json", vocab)
        (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    write_json(tmp_path / "model_index.json", parts)
    return tmp_path


@pytest.mark.parametrize(
    ("part", "token"), [("", "b"), ("text_encoder", "b"), ("text_encoder_2", "b_2")]
)
def test_a_pipelines_text_encoder_is_read_with_its_tokenizer(
    part: str, token: str, pipeline: Path
) -> None:
    vocabulary = load_vocabulary(pipeline / part)
    assert vocabulary.name == str(pipeline / part)
    loaded = transformers.CLIPTextModel.from_pretrained(pipeline / (part or "text_encoder"))
    assert_same(vocabulary, loaded.get_input_embeddings())
    assert vocabulary.tokens[:4] == ("<|endoftext|>", "a", "a␣", token)


def test_a_pipeline_without_weights_says_where_they_should_be(pipeline: Path) -> None:
    (pipeline / "text_encoder" / "model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match="text_encoder has no weights: expected model.saf"):
        load_vocabulary(pipeline)


@pytest.mark.parametrize("written", [{"__float__": "Infinity"}, float("inf")])
@pytest.mark.parametrize("model_type", ["mamba2", "bamba"])
def test_a_configuration_with_an_infinity_is_read(
    model_type: str, written: object, tmp_path: Path
) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": V}
    mamba = {"num_heads": 4, "head_dim": 8, "n_groups": 1, "state_size": 4}
    bamba = {"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 4}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 24}
    more = mamba if model_type == "mamba2" else bamba | heads
    model = transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(model_type, **sizes, **more)
    )
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    write_json(tmp_path / "config.json", config | {"time_step_limit": [0.0, written]})
    assert_same(load_vocabulary(tmp_path), model.get_input_embeddings())


def _llama(folder: Path, tensors: dict[str, torch.Tensor], **config: object) -> Path:
    write_json(folder / "config.json", {"model_type": "llama"} | config)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


EMBEDDING = "model.embed_tokens"
QUANTISED = {
    "FP8 with scales": (
        {
            f"{EMBEDDING}.weight": torch.zeros(4, 4, dtype=torch.float8_e4m3fn),
            f"{EMBEDDING}.weight_scale_inv": torch.ones(1, 1),
        },
        r"weight quantised \(F8_E4M3, with weight_scale_inv\)",
    ),
    "bitsandbytes 8 bit": (
        {
            f"{EMBEDDING}.weight": torch.zeros(4, 4, dtype=torch.int8),
            f"{EMBEDDING}.SCB": torch.ones(4),
        },
        r"weight quantised \(I8, with SCB\)",
    ),
    "bitsandbytes 4 bit": (
        {
            f"{EMBEDDING}.weight": torch.zeros(8, 1, dtype=torch.uint8),
            f"{EMBEDDING}.weight.absmax": torch.ones(4),
        },
        r"weight quantised \(U8, with weight.absmax\)",
    ),
    "MLX": (
        {
            f"{EMBEDDING}.weight": torch.zeros(4, 1, dtype=torch.uint32),
            f"{EMBEDDING}.scales": torch.ones(4, 1),
            f"{EMBEDDING}.biases": torch.ones(4, 1),
        },
        r"weight quantised \(U32, with biases, scales\)",
    ),
    "GPTQ": (
        {f"{EMBEDDING}.qweight": torch.zeros(1, 4, dtype=torch.int32)},
        r"embed_tokens.qweight quantised \(packed\)",
    ),
    "compressed-tensors": (
        {f"{EMBEDDING}.weight_packed": torch.zeros(4, 1, dtype=torch.int32)},
        r"weight_packed quantised \(packed\)",
    ),
}


@pytest.mark.parametrize(("tensors", "words"), QUANTISED.values(), ids=QUANTISED.keys())
def test_a_quantised_table_is_called_so_and_not_damaged(
    tensors: dict[str, torch.Tensor], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFoundError, match=words) as caught:
        load_vocabulary(_llama(tmp_path, tensors))
    assert "damaged" not in str(caught.value) and "\n" not in str(caught.value)


TABLE = {f"{EMBEDDING}.weight": torch.zeros(4, 3)}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"vocab_size": 10**9}, r"says vocab_size = 1000000000, but .* has 4 rows of 3 numbers"),
        ({"hidden_size": 10**7}, r"says hidden_size = 10000000, but .* 4 rows of 3 numbers"),
        ({"num_hidden_layers": 10**6}, r"num_hidden_layers = 1000000, but the weights have 1 ten"),
        ({"text_config": {"num_hidden_layers": 10**6}}, "num_hidden_layers = 1000000, but"),
        ({"model_type": "biogpt", "vocab_size": 10**8}, "says 100,000,000 tokens"),
        ({"model_type": "biogpt", "num_hidden_layers": 10**6}, "layers = 1000000, but the weig"),
    ],
)
def test_sizes_that_are_not_those_of_the_weights_are_one_line(
    config: dict[str, Any], words: str, tmp_path: Path
) -> None:
    started = time.process_time()
    with pytest.raises(ModelNotFoundError, match=words) as caught:
        load_vocabulary(_llama(tmp_path, TABLE, **config))
    assert time.process_time() - started < 20 and "\n" not in str(caught.value)


def test_a_missing_table_is_told_by_what_is_there(tmp_path: Path) -> None:
    lora = {"base_model.model.q_proj.lora_A.weight": torch.zeros(2, 4)}
    with pytest.raises(ModelNotFoundError, match="an adapter's tensors, give the model it was"):
        load_vocabulary(_llama(tmp_path, lora))
    other = {"transformer.wte.weight": torch.zeros(4, 3), "norm.weight": torch.zeros(3)}
    with pytest.raises(
        ModelNotFoundError, match=r"nearest: .*wte.weight \[4, 3\].*check that model"
    ):
        load_vocabulary(_llama(tmp_path, other))


def test_of_two_tables_the_one_of_the_text_is_read(tmp_path: Path) -> None:
    """Models that also speak have a table of sounds, and some copy theirs into a later layer."""
    text, sounds = torch.randn(4, 3), torch.randn(7, 3)
    tensors = {
        "thinker.model.embed_tokens.weight": text,
        "talker.model.embed_tokens.weight": sounds,
        "thinker.model.layers.9.embed_tokens.weight": text + 1,
    }
    config = {"text_config": {"model_type": "qwen2", "vocab_size": 4, "hidden_size": 3}}
    vocabulary = load_vocabulary(_llama(tmp_path, tensors, **config, model_type="speaker"))
    np.testing.assert_array_equal(vocabulary.table, text.numpy())


SMALL = {"vocab_size": V, "hidden_size": 16, "num_attention_heads": 4}
NOT_BUILT_WHOLE: dict[str, tuple[dict[str, Any], str]] = {
    "gemma3n, whose eyes need a further library": (
        {"model_type": "gemma3n", "text_config": {"model_type": "gemma3n_text"} | SMALL},
        "model.language_model.embed_tokens.weight",
    ),
    "a tower that is no model of its own": (
        {"model_type": "owlvit", "text_config": {"model_type": "owlvit_text_model"} | SMALL},
        "owlvit.text_model.embeddings.token_embedding.weight",
    ),
    "a tower that AutoModel does not list": (
        {"model_type": "siglip_text_model"} | SMALL,
        "text_model.embeddings.token_embedding.weight",
    ),
    "a class that transformers no longer has": (
        {
            "model_type": "qwen2_5_omni",
            "architectures": ["Qwen2_5OmniModel"],
            "thinker_config": {
                "model_type": "qwen2_5_omni_thinker",
                "text_config": {"model_type": "qwen2_5_omni_text"} | SMALL,
            },
        },
        "thinker.model.embed_tokens.weight",
    ),
}


@pytest.mark.parametrize(("config", "name"), NOT_BUILT_WHOLE.values(), ids=NOT_BUILT_WHOLE.keys())
@pytest.mark.slow
def test_a_text_part_is_read_where_the_whole_is_not_built(
    config: dict[str, Any], name: str, tmp_path: Path
) -> None:
    table = torch.zeros(V, 16)
    table[7] = 1
    talker = {"talker.model.embed_tokens.weight": torch.zeros(V + 1, 16)}
    write_json(tmp_path / "config.json", config)
    save_file({name: table} | talker, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert (load_vocabulary(tmp_path).table[7] == 1).all()


def test_an_adapter_in_a_models_place_is_told_as_such(tmp_path: Path) -> None:
    write_json(tmp_path / "adapter_config.json", {"base_model_name_or_path": "gpt2"})
    with pytest.raises(ModelNotFoundError, match="is an adapter, not a model: name the model"):
        load_vocabulary(tmp_path)
