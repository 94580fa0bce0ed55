"""Matrices that are no prompts are refused by what they are, each cause with its own line."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import save_file

from probe.errors import PromptFormatError
from probe.formats import load
from probe.formats.weights import shaped_like, what_is
from tests.formats.made_files import torch_file

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

OPTIMIZERS = {
    "AdamW": torch.optim.AdamW,
    "Adam-amsgrad": lambda p: torch.optim.Adam(p, amsgrad=True),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "RMSprop": lambda p: torch.optim.RMSprop(p, centered=True, momentum=0.5),
    "Adagrad": torch.optim.Adagrad,
    "Adadelta": torch.optim.Adadelta,
    "Adamax": torch.optim.Adamax,
    "torch's Adafactor": torch.optim.Adafactor,
}


def stepped(name: str) -> dict[str, Any]:
    rows = torch.nn.Parameter(torch.randn(4, 6))
    optimizer = OPTIMIZERS[name]([rows])
    (rows**2).sum().backward()
    optimizer.step()
    state: dict[str, Any] = optimizer.state_dict()
    return state


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizers_state_is_no_prompt(name: str, tmp_path: Path) -> None:
    path = torch_file(tmp_path / "optimizer.pt", stepped(name))
    with pytest.raises(PromptFormatError, match="found a pickle file .* an optimizer's state"):
        load(path)


MOMENTS = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "momentum", "square_avg",
           "exp_avg_sq_row", "v_row", "row_var", "grad"]  # fmt: skip


@pytest.mark.parametrize("key", MOMENTS)
@pytest.mark.parametrize("kind", ["torch", "safetensors", "npz", "npy", "bare"])
def test_a_moment_by_its_name_alone_is_no_prompt(key: str, kind: str, tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    path = tmp_path / (f"{key}.{kind}" if kind in ("npy", "bare") else f"state.{kind}")
    match kind:
        case "torch":
            torch.save({key: rows}, path)
        case "safetensors":
            save_file({key: rows}, path)
        case "npz":
            np.savez(path, **{key: rows.numpy()})
        case "npy":
            np.save(path, rows.numpy())
        case "bare":
            torch.save(rows, path)
    with pytest.raises(PromptFormatError, match="found .*an optimizer's state"):
        load(path)


NOT_INPUTS = {
    "what a model is handed beside its embeddings": [
        "attention_mask", "causal_mask", "mask", "position_ids", "token_type_ids", "labels", "alibi"
    ],
    "what a model made of its input": [
        "logits", "lm_logits", "probs", "attention_weights", "hidden_states", "sentence_embeddings"
    ],
    "numbers computed about weights, texts or answers": [
        "fisher", "fisher_diag", "empirical_fisher", "hessian", "covariance", "correlation_matrix",
        "gram", "similarity", "similarity_matrix", "cosine_similarity", "sim", "distances",
        "confusion_matrix", "importance_scores", "losses", "eigenvectors", "running_mean",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "what"), [(key, what) for what, keys in NOT_INPUTS.items() for key in keys]
)
def test_a_matrix_named_after_what_is_no_input_is_refused_and_left_out_beside_a_prompt(
    key: str, what: str, tmp_path: Path
) -> None:
    rows = torch.randn(4, 6)
    np.save(tmp_path / f"{key}.npy", rows.numpy())
    np.save(tmp_path / f"{key}_2.npy", rows.numpy())
    torch_file(tmp_path / f"{key}.pt", rows)
    save_file({key: rows}, tmp_path / "alone.safetensors")
    for name in (f"{key}.npy", f"{key}_2.npy", f"{key}.pt", "alone.safetensors"):
        with pytest.raises(PromptFormatError, match=f"expected a soft prompt, found .*{what}"):
            load(tmp_path / name)
    save_file({"prompt": rows.clone(), key: rows}, tmp_path / "both.safetensors")
    (prompt,) = load(tmp_path / "both.safetensors")
    (rest,) = prompt.left_out
    assert rest.name == key and rest.why.startswith(what)


def test_deepspeeds_universal_checkpoint_of_one_parameter(tmp_path: Path) -> None:
    """checkpoint/ds_to_universal.py: `zero/<parameter>/{exp_avg,exp_avg_sq,fp32}.pt`."""
    rows, folder = torch.randn(4, 6), tmp_path / "zero" / "prompt_encoder.default.embedding.weight"
    for name in ("exp_avg", "exp_avg_sq", "fp32"):
        torch_file(folder / f"{name}.pt", {"param": rows if name == "fp32" else rows**2})
    with pytest.raises(PromptFormatError, match="an optimizer's state"):
        load(folder / "exp_avg.pt")
    (prompt,) = load(folder / "fp32.pt")
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ({"lora_A": (2, 6)}, "part of an update of the model's weights"),
        ({"base_model.model.h.0.attn.c_attn.lora_A.weight": (2, 6)}, "LoRA"),
        ({"lora_A.default.weight": (4, 6), "lora_B.default.weight": (4, 6)}, "LoRA"),
        ({"unet.down.0.lora.down.weight": (4, 6)}, "LoRA"),
        ({"ia3_l": (4, 6)}, "LoRA"),
        ({"wte.weight": (30, 6)}, "table of word embeddings"),
        ({"model.embed_tokens.weight": (30, 6)}, "table of word embeddings"),
        ({"bert.embeddings.word_embeddings.weight": (30, 6)}, "table of word embeddings"),
        ({"shared.weight": (30, 6)}, "table of word embeddings"),
        ({"shared/embedding": (30, 6)}, "table of word embeddings"),
        ({"lm_head.weight": (30, 6)}, "the model's output layer"),
        ({"wpe.weight": (30, 6)}, "a layer's own weights"),
        ({"embeddings.position_embeddings.weight": (30, 6)}, "a layer's own weights"),
        ({"layer_norms": (12, 6)}, "a layer's own weights"),
        ({"ln_weights": (12, 6)}, "a layer's own weights"),
        ({"model.layers.0.self_attn.q_proj.weight": (6, 6)}, "a layer's own weights"),
        ({"h.0.attn.c_attn.weight": (6, 18)}, "a layer's own weights"),
        ({"encoder/layers_0/attention/query/kernel": (6, 6)}, "a layer's own weights"),
        ({"score.weight": (2, 6)}, "a trained head"),
        ({"classifier.weight": (2, 6), "classifier.bias": (2,)}, "a trained head"),
        ({"layers.28.self_attn.adaption_prompt": (1, 4, 6)}, "a prompt of a deeper layer"),
        ({"deep_prompt_embeddings": (11, 4, 6)}, "a prompt of a deeper layer"),
        ({"logits": (4, 41)}, "what a model made of its input"),
        ({"hidden_states.3": (4, 6)}, "what a model made of its input"),
        ({"steering_vector": (6,)}, "a direction added to a model's activations"),
        ({"direction.14": (6,)}, "a direction added to a model's activations"),
        ({"bert.LayerNorm.gamma": (6,)}, "a layer's own weights"),
        ({"_fsdp_wrapped_module._flat_param": (24,)}, "one rank's share"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("safe", [True, False])
def test_a_models_matrices_are_refused_by_name(
    state: dict[str, tuple[int, ...]], what: str, safe: bool, tmp_path: Path
) -> None:
    tensors = {key: torch.randn(shape) for key, shape in state.items()}
    path = tmp_path / "x.bin"
    save_file(tensors, path) if safe else torch.save(tensors, path)
    with pytest.raises(PromptFormatError, match=f"expected a soft prompt, found .*{what}"):
        load(path)


@pytest.mark.parametrize(
    "config",
    [
        transformers.GPT2Config(vocab_size=41, n_embd=8, n_layer=1, n_head=2, n_positions=16),
        transformers.LlamaConfig(
            vocab_size=41, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=1,
        ),
        transformers.BertConfig(
            vocab_size=41, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8, max_position_embeddings=16,
        ),
        transformers.T5Config(vocab_size=41, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2),
        transformers.MambaConfig(vocab_size=41, hidden_size=8, num_hidden_layers=1, state_size=2),
        transformers.CLIPTextConfig(
            vocab_size=41, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=16,
        ),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_whole_models_are_no_prompts(config: Any, tmp_path: Path) -> None:
    model = transformers.AutoModel.from_config(config)
    torch.save(model.state_dict(), tmp_path / "model.bin")
    with pytest.raises(PromptFormatError, match="found a pickle file with .*a layer's own weights"):
        load(tmp_path / "model.bin")


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        ((5_000, 8), "what looks like a table of word embeddings"),
        ((256, 256), "a square matrix such as a layer's weights"),
        ((2, 40_000), "rows wider than any model"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"embedding": rows}])
def test_a_nameless_matrix_of_an_impossible_shape_is_refused(
    shape: tuple[int, int], what: str, wrap: Any, tmp_path: Path
) -> None:
    path = torch_file(tmp_path / "x.pt", wrap(torch.zeros(shape)))
    with pytest.raises(PromptFormatError, match=f"expected a soft prompt, found {what}"):
        load(path)


@pytest.mark.parametrize(
    "name",
    ["prompt", "soft", "embedding", "embedding.weight", "prompt_embeddings", "weight", "sst2",
     "prompt_encoder.weight", "learned_prompt.weight", "normal", "attention_task", "tensor",
     "encoder.prompt.weight", "decoder.soft_prompt.weight", "model.prompt_embeddings.weight",
     "classifier.prompt.weight", "road_trip", "miss_universe", "lora_style", "oft_used",
     "state", "score", "heads", "query", "shared", "momentous", "lnli", "position", "masked",
     "similarity_task", "sts_similarity", "fishery", "simple", "distant", "probe", "meaning",
     "embeddings", "text_embeddings", "mean", "mood-labels"],
)  # fmt: skip
def test_names_that_could_be_a_prompts_are_taken_for_one(name: str) -> None:
    assert what_is(name) is None
    assert shaped_like((100, 4096)) is None and shaped_like((64, 64)) is None


@pytest.mark.parametrize("stem", ["road_trip", "attn", "norm", "lora_style", "epoch.3", "a.h.0.b"])
@pytest.mark.parametrize("key", [None, "prompt"])
def test_a_file_may_be_called_almost_anything(stem: str, key: str | None, tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    (prompt,) = load(torch_file(tmp_path / f"{stem}.pt", {key: rows} if key else rows))
    assert prompt.name == stem


def test_endless_keys_cost_no_time(tmp_path: Path) -> None:
    keys = ["key." * 200_000 + "x", "h.0." * 200_000, "a_" * 200_000, "." * 500_000]
    state = {key: torch.randn(4, 6) for key in keys}
    path = torch_file(tmp_path / "x.pt", state | {"prompt": torch.randn(4, 6)})
    started = time.process_time()
    with suppress(PromptFormatError):
        prompts = load(path)
        assert all(len(prompt.name) < 300 for prompt in prompts)
        assert all(len(one.name) < 400 for prompt in prompts for one in prompt.left_out)
    assert time.process_time() - started < 5


# One refusal, one cause.


def peft_folder(folder: Path, peft_type: str, tensors: dict[str, torch.Tensor]) -> Path:
    torch_file(folder / "adapter_model.bin", tensors)
    config = {"peft_type": peft_type, "task_type": "CAUSAL_LM", "num_virtual_tokens": 4}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("peft_type", ["PROMPT_TUNING", "PREFIX_TUNING", "LORA"])
def test_an_adapter_without_a_tensor_was_not_gathered(peft_type: str, tmp_path: Path) -> None:
    folder = peft_folder(tmp_path, peft_type, {})
    with pytest.raises(PromptFormatError) as refused:
        load(folder)
    said = str(refused.value)
    assert f"a {peft_type} adapter without a tensor" in said
    assert "ZeRO-3" in said and "stage3_gather_16bit_weights_on_model_save" in said
    assert "zero_to_fp32.py" in said and "changes the model's weights" not in said


def test_an_empty_safetensors_and_an_empty_dictionary_say_so_too(tmp_path: Path) -> None:
    save_file({}, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    torch_file(tmp_path / "other" / "soft.pt", {})
    for path in (tmp_path / "adapter_model.safetensors", tmp_path / "other" / "soft.pt"):
        with pytest.raises(PromptFormatError, match="without a tensor: DeepSpeed ZeRO-3"):
            load(path)


@pytest.mark.parametrize("shape", [(0,), (0, 6), (4, 0)])
@pytest.mark.parametrize(
    "key", ["prompt_embeddings", "soft_prompt", "prompt_encoder.default.embedding.weight"]
)
def test_rows_without_numbers_were_not_gathered(
    shape: tuple[int, ...], key: str, tmp_path: Path
) -> None:
    folder = peft_folder(tmp_path, "PROMPT_TUNING", {key: torch.empty(shape)})
    path = folder if key == "prompt_embeddings" else folder / "adapter_model.bin"
    if key == "soft_prompt":
        path = path.rename(tmp_path / "mine.pt")
    with pytest.raises(PromptFormatError, match=r"non-empty .* \(.*\): DeepSpeed ZeRO-3"):
        load(path)


@pytest.mark.parametrize(
    "empty", [["embedding.weight", "mlp_head.0.weight", "mlp_head.0.bias"], ["mlp_head.0.weight"]]
)
def test_a_dumped_encoder_that_was_not_gathered_says_so(empty: list[str], tmp_path: Path) -> None:
    """ZeRO-3 keeps small parameters whole, so that some may be there and some not."""
    shapes = {"embedding.weight": (4, 6), "mlp_head.0.weight": (6, 6), "mlp_head.0.bias": (6,)}
    state = {
        f"prompt_encoder.default.{leaf}": torch.randn((0,) if leaf in empty else shape)
        for leaf, shape in shapes.items()
    }
    with pytest.raises(PromptFormatError, match="DeepSpeed ZeRO-3 .* zero_to_fp32.py"):
        load(torch_file(tmp_path / "mp_rank_00_model_states.pt", {"module": state}))


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]).state_dict(), "optimizer's state"),
        ({"last_epoch": 3, "_step_count": 4}, "see docs/formats.md"),
    ],
)
def test_a_file_of_settings_alone_was_not_partitioned(
    state: dict[str, Any], what: str, tmp_path: Path
) -> None:
    with pytest.raises(PromptFormatError, match=what) as refused:
        load(torch_file(tmp_path / "x.pt", state))
    assert "DeepSpeed" not in str(refused.value)


def test_a_prompt_method_with_other_weights_is_not_called_a_weights_changing_one(
    tmp_path: Path,
) -> None:
    tensors = {"base_model.model.h.0.attn.c_attn.lora_A.weight": torch.randn(2, 6)}
    with pytest.raises(PromptFormatError, match="by its configuration, .* together") as refused:
        load(peft_folder(tmp_path, "PROMPT_TUNING", tensors))
    assert "changes the model's weights" not in str(refused.value)


def test_llama_adapter_is_refused_for_what_it_is(tmp_path: Path) -> None:
    config = transformers.LlamaConfig(
        vocab_size=41, hidden_size=8, intermediate_size=8, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    options = peft.AdaptionPromptConfig(adapter_len=3, adapter_layers=1, task_type="CAUSAL_LM")
    peft.get_peft_model(transformers.LlamaForCausalLM(config), options).save_pretrained(tmp_path)
    with pytest.raises(PromptFormatError, match="inside the attention of upper layers"):
        load(tmp_path)


def test_rows_that_are_no_numbers_say_why_and_what_to_do(tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    rows[1, 2] = torch.nan
    with pytest.raises(PromptFormatError, match="found 1 NaN .* diverged; take an earlier"):
        load(torch_file(tmp_path / "p.pt", rows))


@pytest.mark.parametrize("key", ["x", "base_model_name_or_path", "peft_type", "num_virtual_tokens"])
def test_a_long_value_is_never_echoed_whole(key: str, tmp_path: Path) -> None:
    folder = peft_folder(tmp_path, "PROMPT_TUNING", {"x" * 9000: torch.zeros(1, 1, 1, 1)})
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {key: "y" * 9000}))
    with pytest.raises(PromptFormatError) as refused:
        load(folder)
    assert len(str(refused.value)) < 800


@pytest.mark.parametrize("kind", [list, tuple])
def test_tensors_without_names_are_not_taken_for_weights_that_were_not_gathered(
    kind: type, tmp_path: Path
) -> None:
    cache = kind((torch.randn(1, 2, 4, 8), torch.randn(1, 2, 4, 8)) for _ in range(3))
    with pytest.raises(PromptFormatError, match="a list of 6 tensors without names") as refused:
        load(torch_file(tmp_path / "past.pt", cache))
    assert "ZeRO" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("adapter.down_project.weight", "LoRA and its kin"),
        ("mm_projector.weight", "a layer's own weights"),
        ("multi_modal_projector.linear_1.weight", "a layer's own weights"),
        ("W_enc", "a layer's own weights"),
        ("W_E", "word embeddings"),
        ("preconditioner", "an optimizer's state"),
        ("label_embeddings", "a trained head"),
        ("verbalizer.prototypes", "a trained head"),
        ("prompt_proj.weight", "a network that computes the prompt"),
    ],
)
def test_what_models_and_optimizers_hold_besides_is_no_prompt(
    key: str, what: str, tmp_path: Path
) -> None:
    rows = torch.randn(4, 6)
    save_file({key: rows}, tmp_path / "alone.safetensors")
    with pytest.raises(PromptFormatError, match=what):
        load(tmp_path / "alone.safetensors")
    save_file({"soft_prompt": rows.clone(), key: rows}, tmp_path / "both.safetensors")
    (prompt,) = load(tmp_path / "both.safetensors")
    assert [one.name for one in prompt.left_out] == [key]


@pytest.mark.parametrize("name", ["exp_avg", "lora_A", "grads", "position_embeddings", "W_dec"])
def test_a_file_named_after_no_prompt_is_none(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / f"{name}.npy", np.ones((4, 6), dtype=np.float32))
    with pytest.raises(PromptFormatError, match="expected a soft prompt, found"):
        load(tmp_path / f"{name}.npy")


def test_a_share_of_a_distributed_checkpoint_is_no_prompt(tmp_path: Path) -> None:
    """Its tensors stand behind each other; the last, a moment, would be taken for the rows."""
    import torch.distributed.checkpoint as sharded

    def save(state: dict[str, Any], folder: str) -> Path:
        sharded.save(state, checkpoint_id=tmp_path / folder, no_dist=True)
        return tmp_path / folder / "__0_0.distcp"

    key, rows = "prompt_encoder.default.embedding.weight", torch.randn(4, 6)
    with pytest.warns(UserWarning, match="single process"):
        save({key: rows}, "one")
        many = save({key: rows, "optim": {"exp_avg": rows**2, "exp_avg_sq": rows**4}}, "many")
    many.rename(many.with_name("renamed.pt"))
    for folder in ("one", "many"):
        with pytest.raises(PromptFormatError, match="dcp_to_torch FOLDER FILE"):
            load(tmp_path / folder)


def test_a_folder_is_refused_for_its_likeliest_cause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "latest").write_text("global_step10")
    torch_file(tmp_path / "global_step10" / "states.pt", {"module": {"prompt": torch.zeros(0)}})
    with pytest.raises(PromptFormatError, match=r"states\.pt: expected non-empty rows.*ZeRO-3"):
        load(tmp_path)
    assert not caplog.records


@pytest.mark.parametrize("shape", [(3, 4, 6), (4, 1, 6), (2, 1, 4, 6)])
def test_rows_of_more_axes_are_refused_with_their_shape(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    torch_file(tmp_path / "batch.pt", {"soft_prompts": torch.randn(shape)})
    with pytest.raises(
        PromptFormatError, match=rf"'soft_prompts' of shape {re.escape(str(shape))}"
    ):
        load(tmp_path / "batch.pt")
