"""PEFT files against PEFT itself: what `get_prompt` and `forward` would prepend is the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.formats.layouts.openprompt import JOINED_HEADS
from probe.prompt import KVPrefix, Provenance, SoftPrompt

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
SEEDS = range(3)


class Shape:
    """Sizes of a tiny model and its prompt, drawn by a seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.seed = seed
        self.positions = int(rng.integers(1, 8))
        self.layers = int(rng.integers(1, 5))
        self.kv_heads = int(rng.integers(1, 4))
        self.heads = self.kv_heads * int(rng.integers(1, 4))
        self.head_dim = 2 * int(rng.integers(2, 5))
        self.hidden = self.heads * self.head_dim


def gpt2(s: Shape) -> transformers.PreTrainedModel:
    config = transformers.GPT2Config(
        vocab_size=41, n_embd=s.hidden, n_layer=s.layers, n_head=s.heads, n_positions=64
    )
    return transformers.GPT2LMHeadModel(config)


def llama(s: Shape) -> transformers.PreTrainedModel:
    config = transformers.LlamaConfig(
        vocab_size=41,
        hidden_size=s.hidden,
        intermediate_size=16,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        num_key_value_heads=s.kv_heads,
        max_position_embeddings=64,
    )
    return transformers.LlamaForCausalLM(config)


def gemma(s: Shape) -> transformers.PreTrainedModel:
    config = transformers.Gemma2Config(
        vocab_size=41,
        hidden_size=s.hidden,
        intermediate_size=16,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        num_key_value_heads=s.kv_heads,
        head_dim=s.head_dim + 2,
        max_position_embeddings=64,
    )
    return transformers.Gemma2ForCausalLM(config)


def t5(s: Shape) -> transformers.PreTrainedModel:
    config = transformers.T5Config(
        vocab_size=41,
        d_model=s.hidden,
        d_kv=s.head_dim,
        d_ff=16,
        num_layers=s.layers,
        num_heads=s.heads,
        decoder_start_token_id=0,
    )
    return transformers.T5ForConditionalGeneration(config)


def bert(s: Shape) -> transformers.PreTrainedModel:
    config = transformers.BertConfig(
        vocab_size=41,
        hidden_size=s.hidden,
        intermediate_size=16,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        max_position_embeddings=64,
    )
    return transformers.BertForSequenceClassification(config)


MODELS = {
    "gpt2": (gpt2, "CAUSAL_LM"),
    "llama": (llama, "CAUSAL_LM"),
    "t5": (t5, "SEQ_2_SEQ_LM"),
    "bert": (bert, "SEQ_CLS"),
}


def config_of(method: str, task_type: str, s: Shape) -> peft.PeftConfig:
    common = {"task_type": task_type, "num_virtual_tokens": s.positions}
    match method:
        case "prompt_tuning":
            return peft.PromptTuningConfig(**common)
        case "p_tuning_mlp":
            return peft.PromptEncoderConfig(**common, encoder_hidden_size=6)
        case "p_tuning_lstm":
            return peft.PromptEncoderConfig(
                **common,
                encoder_hidden_size=5,
                encoder_reparameterization_type="LSTM",
                encoder_num_layers=2,
            )
        case "multitask":
            return peft.MultitaskPromptTuningConfig(**common, num_tasks=3, num_ranks=2)
        case "cpt":
            ids = [int(i) for i in np.random.default_rng(s.seed).integers(0, 41, s.positions)]
            kinds = [1 + i % 4 for i in range(s.positions)]
            return peft.CPTConfig(
                task_type=task_type, cpt_token_ids=ids, cpt_mask=[1] * len(ids),
                cpt_tokens_type_mask=kinds, opt_projection_epsilon=3.0,
            )  # fmt: skip
        case "prefix":
            return peft.PrefixTuningConfig(**common)
        case "prefix_mlp":
            return peft.PrefixTuningConfig(**common, prefix_projection=True, encoder_hidden_size=7)
        case "cartridge":
            return peft.CartridgeConfig(**common, num_frozen_tokens=min(1, s.positions - 1))
    raise AssertionError(method)


def trained(model: str, method: str, s: Shape) -> peft.PeftModel:
    """A tiny model with an adapter whose every parameter moved away from its start."""
    torch.manual_seed(s.seed)
    build, task_type = MODELS.get(model, (gemma, "CAUSAL_LM"))
    wrapped = peft.get_peft_model(build(s), config_of(method, task_type, s))
    with torch.no_grad():
        for name, parameter in wrapped.prompt_encoder.named_parameters():
            if not (method == "cpt" and name.endswith("default.embedding.weight")):
                parameter.copy_(torch.randn_like(parameter))
    return wrapped.eval()


def prepended(wrapped: peft.PeftModel, task: int | None = None) -> list[NDArray[np.float32]]:
    """The rows the base model really gets in front of its input: encoder's, then decoder's."""
    got: dict[str, torch.Tensor] = {}
    base = wrapped.get_base_model()

    def keep(module: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        got.update({k: v for k, v in kwargs.items() if k.endswith("inputs_embeds")})

    handle = base.register_forward_pre_hook(keep, with_kwargs=True)
    ids, width = torch.tensor([[1, 2, 3]]), 3
    extra = {} if task is None else {"task_ids": torch.tensor([task])}
    if base.config.is_encoder_decoder or isinstance(wrapped, peft.PeftModelForCausalLM):
        extra["labels"] = ids
    with torch.no_grad():
        wrapped(input_ids=ids, attention_mask=torch.ones_like(ids), **extra)
    handle.remove()
    kept = [got.get("inputs_embeds"), got.get("decoder_inputs_embeds")]
    return [v[0, : v.shape[1] - width].numpy() for v in kept if v is not None]


def cache_of(wrapped: peft.PeftModel) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keys and values [L, heads, P, head_dim] of the cache PEFT starts its model with."""
    cache = wrapped.get_prompt(1)
    layers = getattr(cache, "self_attention_cache", cache).layers
    keys = np.stack([layer.keys[0].detach().numpy() for layer in layers])
    values = np.stack([layer.values[0].detach().numpy() for layer in layers])
    return keys, values


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning_mlp", "p_tuning_lstm"])
@pytest.mark.parametrize("model", MODELS)
def test_the_rows_are_those_the_model_gets(
    model: str, method: str, safe: bool, seed: int, tmp_path: Path
) -> None:
    wrapped = trained(model, method, Shape(seed))
    wrapped.save_pretrained(tmp_path, safe_serialization=safe)

    first, *others = load(tmp_path)

    assert isinstance(first, SoftPrompt)
    (expected,) = prepended(wrapped)
    np.testing.assert_allclose(first.embeddings, expected, rtol=1e-5, atol=1e-5)
    assert first.trained
    assert first.method == ("prompt_tuning" if method == "prompt_tuning" else "p_tuning")
    if model == "t5":
        (unread,) = others
        assert (first.submodule, unread.submodule, unread.trained) == ("encoder", "decoder", False)
        assert unread.embeddings.shape == first.embeddings.shape
    else:
        assert not others
        assert first.submodule is None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model", ["gpt2", "llama", "t5"])
def test_every_task_of_a_multitask_prompt_is_the_product_peft_makes(
    model: str, seed: int, tmp_path: Path
) -> None:
    wrapped = trained(model, "multitask", Shape(seed))
    wrapped.save_pretrained(tmp_path)

    prompts = load(tmp_path)

    halves = 2 if model == "t5" else 1
    assert len(prompts) == 3 * halves
    for task in range(3):
        expected = prepended(wrapped, task)
        assert len(expected) == halves
        for prompt, rows in zip(prompts[task * halves :], expected, strict=False):
            assert isinstance(prompt, SoftPrompt)
            assert prompt.trained
            assert (prompt.task, prompt.method) == (f"task{task}", "multitask_prompt_tuning")
            np.testing.assert_allclose(prompt.embeddings, rows, rtol=1e-5, atol=1e-5)
    assert [p.submodule for p in prompts[:halves]] == (
        ["encoder", "decoder"] if model == "t5" else [None]
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_cpt_is_read_with_its_projected_delta_and_the_tokens_it_started_from(
    seed: int, tmp_path: Path
) -> None:
    wrapped = trained("gpt2", "cpt", Shape(seed))
    wrapped.save_pretrained(tmp_path)

    (prompt,) = load(tmp_path)

    assert isinstance(prompt, SoftPrompt)
    np.testing.assert_allclose(prompt.embeddings, prepended(wrapped)[0], rtol=1e-5, atol=1e-5)
    assert prompt.method == "cpt"
    assert prompt.init_token_ids == tuple(wrapped.peft_config["default"].cpt_token_ids)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", ["prefix", "prefix_mlp", "cartridge"])
@pytest.mark.parametrize("model", ["gpt2", "llama", "gemma", "t5"])
def test_a_prefix_is_the_cache_peft_starts_with(
    model: str, method: str, seed: int, tmp_path: Path
) -> None:
    wrapped = trained(model, method, Shape(seed))
    wrapped.save_pretrained(tmp_path)

    (prefix,) = load(tmp_path)

    assert isinstance(prefix, KVPrefix)
    keys, values = cache_of(wrapped)
    np.testing.assert_allclose(prefix.keys, keys, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(prefix.values, values, rtol=1e-5, atol=1e-5)
    assert prefix.submodule == ("decoder" if model == "t5" else None)


def test_grouped_queries_give_a_prefix_the_heads_of_keys_not_of_queries(tmp_path: Path) -> None:
    shape = Shape(0)
    shape.kv_heads, shape.heads, shape.head_dim, shape.hidden = 2, 6, 4, 24
    trained("llama", "prefix", shape).save_pretrained(tmp_path)

    (prefix,) = load(tmp_path)

    assert isinstance(prefix, KVPrefix)
    assert prefix.keys.shape == (shape.layers, 2, shape.positions, 4)


@pytest.mark.parametrize(
    ("model", "method"),
    [
        ("gpt2", "prompt_tuning"),
        ("gpt2", "p_tuning_mlp"),
        ("llama", "p_tuning_lstm"),
        ("gpt2", "cpt"),
        ("t5", "p_tuning_mlp"),
    ],
)
def test_a_raw_state_dict_gives_the_same_rows(model: str, method: str, tmp_path: Path) -> None:
    wrapped = trained(model, method, Shape(1))
    wrapped.save_pretrained(tmp_path)
    torch.save(wrapped.state_dict(), tmp_path / "pytorch_model.bin")

    prompt = load(tmp_path / "pytorch_model.bin")[0]

    assert isinstance(prompt, SoftPrompt)
    np.testing.assert_allclose(prompt.embeddings, prepended(wrapped)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["prefix_mlp", "cartridge", "prefix"])
def test_a_raw_prefix_with_its_configuration_gives_the_same_cache(
    method: str, tmp_path: Path
) -> None:
    wrapped = trained("llama", method, Shape(2))
    wrapped.save_pretrained(tmp_path)
    torch.save(wrapped.state_dict(), tmp_path / "pytorch_model.bin")

    (prefix,) = load(tmp_path / "pytorch_model.bin")

    assert isinstance(prefix, KVPrefix)
    np.testing.assert_allclose(prefix.keys, cache_of(wrapped)[0], rtol=1e-5, atol=1e-5)


def test_raw_multitask_weights_give_the_same_tasks(tmp_path: Path) -> None:
    wrapped = trained("gpt2", "multitask", Shape(1))
    torch.save(wrapped.state_dict(), tmp_path / "dump.bin")

    prompts = load(tmp_path / "dump.bin")

    assert len(prompts) == 3
    np.testing.assert_allclose(
        prompts[2].embeddings, prepended(wrapped, 2)[0], rtol=1e-5, atol=1e-5
    )


def test_keys_of_the_first_releases_are_read(tmp_path: Path) -> None:
    """Before adapters had names the dump said `prompt_encoder.embedding.weight` (v0.2)."""
    rows = torch.randn(4, 6)
    torch.save({"prompt_encoder.embedding.weight": rows}, tmp_path / "old.bin")
    (prompt,) = load(tmp_path / "old.bin")
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())


def test_a_further_adapter_is_picked_by_name(tmp_path: Path) -> None:
    wrapped = trained("gpt2", "prompt_tuning", Shape(1))
    wrapped.add_adapter("spare", config_of("prompt_tuning", "CAUSAL_LM", Shape(2)))
    wrapped.save_pretrained(tmp_path)

    (default,) = load(tmp_path)
    (spare,) = load(f"{tmp_path}#spare")

    assert len(default) == Shape(1).positions
    assert len(spare) == Shape(2).positions
    assert spare.name == "spare"


def test_everything_known_of_the_prompt_is_kept(tmp_path: Path) -> None:
    folder = saved(tmp_path / "sst2", base_model_name_or_path="openai/gpt2", revision="abc")

    (prompt,) = load(folder)

    assert (prompt.name, prompt.base_model, prompt.revision) == ("sst2", "openai/gpt2", "abc")
    assert prompt.config["num_virtual_tokens"] == Shape(1).positions
    assert isinstance(prompt.provenance, Provenance)
    assert prompt.provenance.format == "peft"
    assert prompt.provenance.path == str(folder / "adapter_model.safetensors")
    assert len(prompt.provenance.sha256) == 64


def saved(tmp_path: Path, **changes: object) -> Path:
    """A saved adapter whose configuration was edited."""
    trained("gpt2", "prompt_tuning", Shape(1)).save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return tmp_path


def test_without_a_configuration_the_rows_are_read_and_the_method_is_unknown(
    tmp_path: Path,
) -> None:
    (saved(tmp_path) / "adapter_config.json").unlink()
    (prompt,) = load(tmp_path)
    assert prompt.method == "unknown"
    assert len(prompt) == Shape(1).positions


def test_without_a_configuration_it_is_said_that_rows_may_be_a_prefix(tmp_path: Path) -> None:
    (saved(tmp_path) / "adapter_config.json").unlink()
    (note,) = load(tmp_path)[0].provenance.notes
    assert "no adapter_config.json" in note and "prefix of keys and values" in note


@pytest.mark.parametrize("field", ["base_model_name_or_path", "revision"])
def test_what_the_visible_configuration_says_wins_and_the_contradiction_is_told(
    field: str, tmp_path: Path
) -> None:
    prompt = SoftPrompt("mine", np.ones((2, 4)), base_model="openai/gpt2", revision="abc")
    folder = save(prompt, tmp_path / "out", to="peft")
    assert load(folder)[0].provenance.notes == ()
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: "mine/other"}))

    (again,) = load(folder)

    assert "mine/other" in (again.base_model, again.revision)
    (note,) = again.provenance.notes
    assert "'mine/other'" in note and ("'openai/gpt2'" in note or "'abc'" in note)
    assert (again.name, again.config[field]) == ("mine", "mine/other")


def test_a_method_edited_in_the_visible_configuration_wins_too(tmp_path: Path) -> None:
    folder = save(
        SoftPrompt("a", np.ones((2, 4)), method="prompt_tuning"), tmp_path / "a", to="peft"
    )
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"peft_type": "P_TUNING"}))
    (again,) = load(folder)
    assert again.method == "p_tuning"
    assert again.provenance.notes[0].endswith("says p_tuning, the weights' header prompt_tuning")


@pytest.mark.parametrize("method", ["cpt", "multitask_prompt_tuning", "unknown", "p_tuning"])
def test_what_peft_has_no_name_for_is_no_contradiction(method: str, tmp_path: Path) -> None:
    folder = save(SoftPrompt("a", np.ones((2, 4)), method=method), tmp_path / "a", to="peft")
    (again,) = load(folder)
    assert (again.method, again.provenance.notes) == (method, ())


def test_a_base_model_taken_out_of_the_configuration_is_told(tmp_path: Path) -> None:
    folder = save(SoftPrompt("a", np.ones((2, 4)), base_model="gpt2"), tmp_path / "a", to="peft")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}))
    (again,) = load(folder)
    assert again.base_model == "gpt2"
    assert (
        "base model None, the weights' header 'gpt2': 'gpt2' is taken" in again.provenance.notes[0]
    )


def test_rows_in_a_batch_of_one_are_rows(tmp_path: Path) -> None:
    rows = torch.randn(1, 4, 6)
    torch.save({"prompt_embeddings": rows}, tmp_path / "adapter_model.bin")
    (prompt,) = load(tmp_path)
    np.testing.assert_array_equal(prompt.embeddings, rows[0].numpy())


def test_a_readme_that_names_another_base_model_is_told(tmp_path: Path) -> None:
    folder = saved(tmp_path, base_model_name_or_path="openai/gpt2")
    (folder / "README.md").write_text("---\nbase_model: meta/llama\ntags:\n- x\n---\n# Model\n")
    (note,) = load(folder)[0].provenance.notes
    assert "README.md names base model 'meta/llama'" in note and "'openai/gpt2'" in note
    for same in ("gpt2", "openai/gpt2", "/models/gpt2/"):
        (folder / "README.md").write_text(f"---\nbase_model: {same}\n---\n")
        assert load(folder)[0].provenance.notes == ()


def test_unknown_fields_and_a_text_start_are_kept_and_break_nothing(tmp_path: Path) -> None:
    saved(
        tmp_path,
        from_the_future={"a": 1},
        prompt_tuning_init="TEXT",
        prompt_tuning_init_text="Classify:",
        num_transformer_submodules=None,
    )
    (prompt,) = load(tmp_path)
    assert isinstance(prompt, SoftPrompt)
    assert prompt.config["prompt_tuning_init_text"] == "Classify:"
    assert prompt.config["from_the_future"] == {"a": 1}
    assert prompt.init_token_ids is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_virtual_tokens": 99}, r"says 99 virtual tokens .* 99 rows, the file holds \d+$"),
        ({"token_dim": 7}, r"says token_dim 7, .* the file holds rows of \d+$"),
        ({"num_virtual_tokens": "8"}, r"a whole number ≥ 1 as num_virtual_tokens, found '8'"),
        ({"num_virtual_tokens": -1}, r"a whole number ≥ 1 as num_virtual_tokens, found -1"),
        ({"peft_type": "PREFIX_TUNING", "num_layers": 5, "num_attention_heads": 7}, "split into"),
    ],
)
def test_a_configuration_that_contradicts_the_file_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PromptFormatError, match=message):
        load(saved(tmp_path, **changes))


def test_a_prefix_of_another_width_is_refused(tmp_path: Path) -> None:
    trained("gpt2", "prefix", Shape(1)).save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"num_attention_heads": 1, "token_dim": 3})
    )
    with pytest.raises(PromptFormatError, match=r"says token_dim 3, so rows of \d+ numbers"):
        load(tmp_path)


def test_other_adapters_are_named_and_refused(tmp_path: Path) -> None:
    model = gpt2(Shape(1))
    lora = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["c_attn"], fan_in_fan_out=True)
    peft.get_peft_model(model, lora).save_pretrained(tmp_path)
    with pytest.raises(PromptFormatError, match="a LORA adapter, .* not a soft prompt"):
        load(tmp_path)


def test_a_configuration_without_weights_is_refused(tmp_path: Path) -> None:
    (saved(tmp_path) / "adapter_model.safetensors").unlink()
    with pytest.raises(PromptFormatError, match=r"adapter_config\.json is there without its"):
        load(tmp_path)


def test_task_matrices_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tensors = {
        "prompt_embeddings": torch.randn(4, 6),
        "prefix_task_cols": torch.randn(2, 4, 3),
        "prefix_task_rows": torch.randn(2, 2, 6),
    }
    torch.save(tensors, tmp_path / "adapter_model.bin")
    with pytest.raises(PromptFormatError, match=r"must fit the shared prompt \(4, 6\)"):
        load(tmp_path)


def test_a_small_file_cannot_unfold_to_a_huge_prompt(tmp_path: Path) -> None:
    tensors = {
        "prompt_encoder.default.embedding.weight": torch.randn(20_000, 1),
        "prompt_encoder.default.transform.0.weight": torch.randn(1, 1),
        "prompt_encoder.default.transform.0.bias": torch.randn(1),
        "prompt_encoder.default.transform.2.weight": torch.randn(200_000, 1),
        "prompt_encoder.default.transform.2.bias": torch.randn(200_000),
    }
    torch.save(tensors, tmp_path / "bomb.bin")
    with pytest.raises(
        PromptFormatError, match="20,000 rows × 200,000 numbers would unpack to more"
    ):
        load(tmp_path / "bomb.bin")


def soft(submodule: str | None, method: str = "prompt_tuning") -> SoftPrompt:
    s = Shape(1)
    rows = np.random.default_rng(3).normal(size=(s.positions, s.hidden))
    return SoftPrompt(
        "mine", rows, base_model="base", task="sst2", method=method, submodule=submodule,
        metrics={"accuracy": 0.9},
    )  # fmt: skip


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning", "cpt"])
@pytest.mark.parametrize("model", ["gpt2", "t5"])
def test_peft_loads_what_is_written_and_prepends_the_same_rows(
    model: str, method: str, tmp_path: Path
) -> None:
    prompt = soft("encoder" if model == "t5" else None, method)
    folder = save(prompt, tmp_path / "out", to="peft")

    wrapped = peft.PeftModel.from_pretrained(MODELS[model][0](Shape(1)), folder)

    np.testing.assert_array_equal(prepended(wrapped)[0], prompt.embeddings)
    (again,) = load(folder)
    assert isinstance(again, SoftPrompt)
    np.testing.assert_array_equal(again.embeddings, prompt.embeddings)
    assert (again.name, again.task, again.method) == ("mine", "sst2", method)
    assert (again.submodule, again.metrics) == (prompt.submodule, {"accuracy": 0.9})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("model", ["gpt2", "llama", "t5"])
def test_peft_loads_a_written_prefix_and_starts_with_the_same_cache(
    model: str, seed: int, tmp_path: Path
) -> None:
    original = trained(model, "prefix_mlp", Shape(seed))
    original.save_pretrained(tmp_path / "in")
    (prefix,) = load(tmp_path / "in")

    folder = save(prefix, tmp_path / "out", to="peft")

    wrapped = peft.PeftModel.from_pretrained(MODELS[model][0](Shape(seed)), folder)
    for found, expected in zip(cache_of(wrapped), cache_of(original), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_decoder_prefixes_peft_cannot_feed_are_refused(tmp_path: Path) -> None:
    keys = np.random.default_rng(0).normal(size=(2, 1, 3, 4))
    prefix = KVPrefix("mine", keys, keys, submodule="decoder")
    with pytest.raises(PromptFormatError, match="convert it to safetensors"):
        save(prefix, tmp_path / "out", to="peft")
    assert not list(tmp_path.iterdir())


def test_a_lone_decoder_prompt_cannot_be_a_peft_adapter(tmp_path: Path) -> None:
    with pytest.raises(PromptFormatError, match="convert it to npy or safetensors"):
        save(soft("decoder"), tmp_path / "out", to="peft")


@pytest.mark.parametrize("early", [True, False])
def test_before_peft_0_4_the_decoders_half_was_trained_too(early: bool, tmp_path: Path) -> None:
    """Its configurations lack `revision` and `auto_mapping`; both came with 0.4, as #519 did."""
    torch.save({"prompt_embeddings": torch.randn(6, 4)}, tmp_path / "adapter_model.bin")
    later = {} if early else {"revision": None, "auto_mapping": None}
    config = {
        "peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM", "num_virtual_tokens": 3,
        "num_transformer_submodules": 2, "token_dim": 4, "inference_mode": True,
    }  # fmt: skip
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | later))

    encoder, decoder = load(tmp_path)

    assert (encoder.trained, decoder.trained) == (True, early)
    assert ["before 0.4" in note for note in encoder.provenance.notes] == [True] * early


@pytest.mark.parametrize(("version", "told"), [(None, True), ("0.18.0", False)])
def test_a_prefix_of_bloom_may_have_been_trained_under_another_order(
    version: str | None, told: bool, tmp_path: Path
) -> None:
    torch.save({"prompt_embeddings": torch.randn(3, 2 * 2 * 4)}, tmp_path / "adapter_model.bin")
    config = {
        "peft_type": "PREFIX_TUNING", "base_model_name_or_path": "bigscience/bloom-560m",
        "num_layers": 2, "num_attention_heads": 2, "num_virtual_tokens": 3, "token_dim": 4,
    } | ({"peft_version": version} if version else {})  # fmt: skip
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    assert bool(load(tmp_path)[0].provenance.notes) == told


@pytest.mark.parametrize("fields", [{"submodule": "encoder"}, {"config": JOINED_HEADS}])
def test_prefixes_peft_would_take_for_others_are_refused(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    keys = np.ones((2, 1, 3, 4))
    with pytest.raises(PromptFormatError, match="PEFT cannot keep: convert it to safetensors"):
        save(KVPrefix("mine", keys, keys, **fields), tmp_path / "out", to="peft")
