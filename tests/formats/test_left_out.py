"""What comes with a prompt and is no part of it is named, never dropped without a word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.prompt import AnyPrompt, LeftOut, SoftPrompt
from tests.formats.made_files import torch_file

LINEAR = {"base_model.classifier.weight": (3, 8), "base_model.classifier.bias": (3,)}

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


def bert(kind: str = "ForSequenceClassification") -> Any:
    config = transformers.BertConfig(
        vocab_size=41, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    return getattr(transformers, f"Bert{kind}")(config)


def gpt2(kind: str = "LMHeadModel") -> Any:
    config = transformers.GPT2Config(
        vocab_size=41, n_embd=8, n_layer=2, n_head=2, n_positions=32, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    return getattr(transformers, f"GPT2{kind}")(config)


def tuned(model: Any, task_type: str, **options: Any) -> peft.PeftModel:
    return peft.get_peft_model(
        model, peft.PromptTuningConfig(task_type=task_type, num_virtual_tokens=4, **options)
    )


def named(prompt: AnyPrompt) -> dict[str, LeftOut]:
    return {one.name: one for one in prompt.left_out}


@pytest.mark.parametrize(
    ("model", "task_type", "head"),
    [
        (bert, "SEQ_CLS", LINEAR),
        (lambda: gpt2("ForSequenceClassification"), "SEQ_CLS", {"base_model.score.weight": (2, 8)}),
        (lambda: bert("ForTokenClassification"), "TOKEN_CLS", LINEAR),
    ],
)
@pytest.mark.parametrize("safe", [True, False])
def test_the_trained_head_of_a_peft_classifier_is_named(
    model: Any, task_type: str, head: dict[str, tuple[int, ...]], safe: bool, tmp_path: Path
) -> None:
    tuned(model(), task_type).save_pretrained(tmp_path, safe_serialization=safe)

    (prompt,) = load(tmp_path)

    assert {name: one.shape for name, one in named(prompt).items()} == head
    assert all(one.changes_answers and one.why == "a trained head" for one in prompt.left_out)


def test_whatever_modules_to_save_names_is_named_as_trained(tmp_path: Path) -> None:
    tuned(gpt2(), "CAUSAL_LM", modules_to_save=["ln_f", "lm_head"]).save_pretrained(tmp_path)
    found = named(load(tmp_path)[0])
    assert found.keys() == {
        "base_model.lm_head.weight",
        "base_model.transformer.ln_f.weight",
        "base_model.transformer.ln_f.bias",
    }
    assert all(one.changes_answers for one in found.values())


def test_a_prefix_says_so_too(tmp_path: Path) -> None:
    config = peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4)
    peft.get_peft_model(bert(), config).save_pretrained(tmp_path)
    assert "base_model.classifier.weight" in named(load(tmp_path)[0])


def test_a_raw_dump_tells_the_trained_head_from_the_frozen_model(tmp_path: Path) -> None:
    state = tuned(gpt2("ForSequenceClassification"), "SEQ_CLS").state_dict()
    (prompt,) = load(torch_file(tmp_path / "dump.bin", state))
    trained = [one.name for one in prompt.left_out if one.changes_answers]
    assert trained == ["base_model.score.modules_to_save.default.weight"]
    layers = [one for one in prompt.left_out if one.why.startswith("a layer's own weights")]
    assert len(layers) == 1 and "more like it" in layers[0].why


def test_a_plain_adapter_leaves_nothing_out(tmp_path: Path) -> None:
    tuned(gpt2(), "CAUSAL_LM").save_pretrained(tmp_path)
    (prompt,) = load(tmp_path)
    assert prompt.left_out == ()
    assert prompt.provenance is not None and prompt.provenance.notes == ()


def test_further_adapters_in_subfolders_are_named(tmp_path: Path) -> None:
    model = tuned(gpt2(), "CAUSAL_LM")
    model.add_adapter("spare", peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    model.save_pretrained(tmp_path)
    shutil.copytree(tmp_path / "spare", tmp_path / "runs" / "two" / "three")

    (prompt,) = load(tmp_path)

    others = ["spare/", "runs/two/three/"]
    assert {name: one.changes_answers for name, one in named(prompt).items()} == dict.fromkeys(
        others, False
    )
    assert "PATH#NAME" in named(prompt)["spare/"].why
    for other in ("spare", "runs/two/three"):
        assert len(load(f"{tmp_path}#{other}")[0]) == 3


def test_second_weights_of_one_adapter_are_named(tmp_path: Path) -> None:
    tuned(gpt2(), "CAUSAL_LM").save_pretrained(tmp_path)
    torch.save({"prompt_embeddings": torch.ones(4, 8)}, tmp_path / "adapter_model.bin")
    (one,) = load(tmp_path)[0].left_out
    assert one.name == "adapter_model.bin" and "adapter_model.safetensors comes before" in one.why


def test_adapterhubs_head_beside_its_prompt_is_named(tmp_path: Path) -> None:
    rows = {"bert.prompt_tuning.prompt_tunings.sst2.prompt_embedding.weight": torch.randn(4, 8)}
    torch_file(tmp_path / "pytorch_adapter.bin", rows)
    torch_file(tmp_path / "pytorch_model_head.bin", {"heads.sst2.1.weight": torch.randn(2, 8)})
    (one,) = load(tmp_path)[0].left_out
    assert (one.name, one.changes_answers) == ("pytorch_model_head.bin", True)


def test_maples_deeper_prompts_and_projections_are_named(tmp_path: Path) -> None:
    """trainers/maple.py of muzairkhattak/multimodal-prompt-learning, `MultiModalPromptLearner`."""
    state = {
        "prompt_learner.ctx": torch.randn(2, 8),
        "prompt_learner.proj.weight": torch.randn(6, 8),
        "prompt_learner.proj.bias": torch.randn(6),
        "prompt_learner.token_prefix": torch.randn(3, 1, 8),
        "prompt_learner.token_suffix": torch.randn(3, 9, 8),
    }
    for depth in range(8):
        state[f"prompt_learner.compound_prompts_text.{depth}"] = torch.randn(2, 8)
        layer = f"prompt_learner.compound_prompt_projections.{depth}"
        state |= {f"{layer}.weight": torch.randn(6, 8), f"{layer}.bias": torch.randn(6)}
    path = torch_file(tmp_path / "maple.pth", {"state_dict": state, "epoch": 5, "optimizer": None})

    (prompt,) = load(path)

    np.testing.assert_array_equal(prompt.embeddings, state["prompt_learner.ctx"].numpy())
    deeper = [one for one in prompt.left_out if "a prompt of a deeper layer" in one.why]
    assert len(deeper) == 8 and all(one.changes_answers for one in deeper)
    assert any(one.why.startswith("a network that computes the prompt") for one in prompt.left_out)
    frame = named(prompt)["state_dict.prompt_learner.token_prefix"]
    assert not frame.changes_answers


def test_cocoops_network_and_deep_visual_prompts_are_named(tmp_path: Path) -> None:
    state = {
        "prompt_learner.ctx": torch.randn(4, 8),
        "prompt_learner.meta_net.linear1.weight": torch.randn(2, 6),
        "text_encoder.transformer.resblocks.1.VPT_shallow": torch.randn(4, 8),
        "image_encoder.VPT": torch.randn(4, 6),
    }
    (prompt,) = load(torch_file(tmp_path / "m.pth", {"state_dict": state}))
    del state["prompt_learner.ctx"]
    assert {one.name for one in prompt.left_out} == {f"state_dict.{key}" for key in state}
    assert all(one.changes_answers for one in prompt.left_out)


def test_both_halves_under_one_known_key_are_read(tmp_path: Path) -> None:
    state = {
        "encoder.soft_prompt_layer.soft_embeds": torch.randn(4, 6),
        "decoder.soft_prompt_layer.soft_embeds": torch.randn(3, 6),
        "encoder.block.0.adapter.weight": torch.randn(2, 6),
    }
    first, second = load(torch_file(tmp_path / "delta.bin", state))
    assert [len(first), len(second)] == [4, 3]
    assert [first.name, second.name] == ["delta-encoder", "delta-decoder"]
    assert [one.name for one in first.left_out] == ["encoder.block.0.adapter.weight"]


def test_a_head_beside_rows_in_a_plain_dictionary_is_named(tmp_path: Path) -> None:
    head = torch.nn.Linear(6, 2)
    state = {"soft_prompt": torch.randn(1, 4, 6), "classifier": head.state_dict(), "epoch": 3}
    (prompt,) = load(torch_file(tmp_path / "mine.pt", state))
    np.testing.assert_array_equal(prompt.embeddings, state["soft_prompt"][0].numpy())
    assert {one.name: one.changes_answers for one in prompt.left_out} == {
        "classifier.weight": True,
        "classifier.bias": True,
    }


def test_rows_saved_with_their_optimizer_are_read_and_its_state_is_named(tmp_path: Path) -> None:
    rows = torch.nn.Parameter(torch.randn(4, 6))
    optimizer = torch.optim.AdamW([rows])
    rows.sum().backward()
    optimizer.step()
    state = {"prompt": rows.detach(), "optimizer": optimizer.state_dict()}
    (prompt,) = load(torch_file(tmp_path / "last.pt", state))
    np.testing.assert_array_equal(prompt.embeddings, rows.detach().numpy())
    assert {one.why for one in prompt.left_out} == {"an optimizer's state"}
    assert not any(one.changes_answers for one in prompt.left_out)


def test_the_vocabulary_that_openprompt_saves_along_is_named(tmp_path: Path) -> None:
    state = {"soft_embeds": torch.randn(4, 6), "raw_embedding.weight": torch.randn(50, 6)}
    (one,) = load(torch_file(tmp_path / "t.ckpt", state))[0].left_out
    assert one == LeftOut("raw_embedding.weight", (50, 6), "the model's table of word embeddings")


def test_a_template_that_a_file_holds_twice_is_named(tmp_path: Path) -> None:
    state = {"last": {"soft_embeds": torch.ones(4, 6)}, "best": {"soft_embeds": torch.zeros(4, 6)}}
    (prompt,) = load(torch_file(tmp_path / "t.ckpt", state))
    assert isinstance(prompt, SoftPrompt) and prompt.embeddings[0, 0] == 1
    assert [one.name for one in prompt.left_out] == ["best.soft_embeds"]


@pytest.mark.parametrize("to", ["safetensors", "peft"])
def test_what_was_left_out_is_not_forgotten_by_converting(to: Any, tmp_path: Path) -> None:
    tuned(bert(), "SEQ_CLS").save_pretrained(tmp_path / "in")
    (prompt,) = load(tmp_path / "in")
    (again,) = load(save(prompt, tmp_path / "out", to=to))
    assert prompt.left_out and again.left_out == prompt.left_out


STRANGE = {"name": "x", "shape": "y", "why": "z", "changes_answers": True}


@pytest.mark.parametrize("entry", [3, {"name": "x"}, STRANGE])
def test_a_header_with_a_strange_list_is_refused(entry: object, tmp_path: Path) -> None:
    path = save(SoftPrompt("a", np.ones((2, 3))), tmp_path / "a.safetensors", to="safetensors")
    header = json.dumps({"left_out": [entry]})
    save_file(load_file(path), path, metadata={"probe": header})
    with pytest.raises(PromptFormatError, match="left_out of the header's card must hold"):
        load(path)


def test_a_network_that_makes_the_prompt_is_named_as_changing_it(tmp_path: Path) -> None:
    """Residual prompt tuning and its kin save rows and a network that nobody here can run."""
    network = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.ReLU(), torch.nn.Linear(3, 6))
    layers = {f"mlp.{key}": value for key, value in network.state_dict().items()}
    (prompt,) = load(torch_file(tmp_path / "a.pt", {"prompt.weight": torch.randn(4, 6), **layers}))
    assert {one.name for one in prompt.left_out if one.changes_answers} == set(layers)

    inside = {f"prompt_encoder.net.{key}": value for key, value in network.state_dict().items()}
    rows = {"prompt_encoder.embedding.weight": torch.randn(4, 6)}
    (prompt,) = load(torch_file(tmp_path / "b.pt", rows | inside))
    assert {one.name for one in prompt.left_out if one.changes_answers} == set(inside)


def test_a_strange_configuration_beside_plain_rows_is_none_of_their_business(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    for text in ("[1]", "{", "no json"):
        (tmp_path / "config.json").write_text(text)
        assert len(load(tmp_path / "a.npy")[0]) == 2


def test_an_encoder_that_a_file_holds_twice_is_read_twice(tmp_path: Path) -> None:
    key = "prompt_encoder.default.embedding.weight"
    first, second = torch.randn(4, 6), torch.randn(4, 6)
    state = {"model": {key: first}, "ema": {key: second}}
    found = {p.name: p for p in load(torch_file(tmp_path / "x.ckpt", state))}
    assert found.keys() == {"x-model.default", "x-ema.default"}
    np.testing.assert_array_equal(found["x-model.default"].embeddings, first.numpy())
    np.testing.assert_array_equal(found["x-ema.default"].embeddings, second.numpy())


@pytest.mark.parametrize(
    "key",
    ["prompt_encoder.default.embedding.weight", "wte.learned_embedding", "soft_prompt"],
)
@pytest.mark.parametrize("moments", ["exp_avg", "momentum_buffer", "optimizer"])
def test_moments_under_the_prompts_own_key_are_not_taken_for_it(
    key: str, moments: str, tmp_path: Path
) -> None:
    rows = torch.randn(4, 6)
    state = {moments: {key: rows**2}, "model": {key: rows}}
    (prompt,) = load(torch_file(tmp_path / "x.ckpt", state))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert [one.why for one in prompt.left_out] == ["an optimizer's state"]
