"""Rows of chosen tokens: what PEFT puts in the table's place is the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.prompt import SoftPrompt

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def gpt2(*, tied: bool = True) -> Any:
    config = transformers.GPT2Config(
        vocab_size=41, n_embd=8, n_layer=1, n_head=2, n_positions=16, tie_word_embeddings=tied,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def trained(model: Any, config: peft.PeftConfig) -> Any:
    torch.manual_seed(1)
    wrapped = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "trainable_tokens_delta" in name:
                parameter.copy_(torch.randn_like(parameter))
    return wrapped


def used_rows(wrapped: Any, ids: list[int]) -> np.ndarray:
    """What the wrapped model's own embedding answers for the ids."""
    layer = wrapped.get_base_model().get_input_embeddings()
    return layer(torch.tensor(ids)).detach().numpy()


@pytest.mark.parametrize("tied", [True, False])
def test_the_rows_are_those_the_model_reads_for_its_chosen_tokens(
    tied: bool, tmp_path: Path
) -> None:
    ids = [7, 3, 5]
    wrapped = trained(gpt2(tied=tied), peft.TrainableTokensConfig(token_indices=ids))
    wrapped.save_pretrained(tmp_path / "words")

    (prompt,) = load(tmp_path / "words")

    assert isinstance(prompt, SoftPrompt)
    np.testing.assert_array_equal(prompt.embeddings, used_rows(wrapped, ids))
    assert prompt.init_token_ids == (7, 3, 5)
    assert (prompt.name, prompt.method) == ("words", "trainable_tokens")
    assert prompt.left_out == ()


def test_rows_of_an_untied_output_layer_are_named_and_not_given(tmp_path: Path) -> None:
    config = peft.TrainableTokensConfig(token_indices=[3, 5], target_modules=["wte", "lm_head"])
    wrapped = trained(gpt2(tied=False), config)
    wrapped.save_pretrained(tmp_path)

    (prompt,) = load(tmp_path)

    np.testing.assert_array_equal(prompt.embeddings, used_rows(wrapped, [3, 5]))
    (rest,) = prompt.left_out
    assert rest.name == "base_model.model.lm_head.trainable_tokens_delta"
    assert (rest.shape, rest.changes_answers) == ((2, 8), True)


@pytest.mark.parametrize("indices", [[3, 5], {"wte": [3, 5]}])
def test_tokens_trained_beside_lora_are_given_and_lora_is_named(
    indices: Any, tmp_path: Path
) -> None:
    lora = peft.LoraConfig(
        target_modules=["c_attn"], r=2, fan_in_fan_out=True, trainable_token_indices=indices
    )
    wrapped = trained(gpt2(), lora)
    wrapped.save_pretrained(tmp_path)

    (prompt,) = load(tmp_path)

    np.testing.assert_array_equal(prompt.embeddings, used_rows(wrapped, [3, 5]))
    assert prompt.init_token_ids == (3, 5)
    assert {one.name.rpartition(".lora_")[2] for one in prompt.left_out} == {"A.weight", "B.weight"}
    assert all(one.changes_answers and "LoRA" in one.why for one in prompt.left_out)


def test_a_raw_state_dict_gives_the_same_rows(tmp_path: Path) -> None:
    wrapped = trained(gpt2(), peft.TrainableTokensConfig(token_indices=[3, 5]))
    torch.save(wrapped.state_dict(), tmp_path / "dump.bin")

    (prompt,) = load(tmp_path / "dump.bin")

    np.testing.assert_array_equal(prompt.embeddings, used_rows(wrapped, [3, 5]))
    assert prompt.init_token_ids is None  # nothing beside the dump names the tokens
    assert not any(one.changes_answers for one in prompt.left_out)


def test_rows_that_began_at_random_have_no_start(tmp_path: Path) -> None:
    config = peft.TrainableTokensConfig(token_indices=[3, 5], init_weights=False)
    trained(gpt2(), config).save_pretrained(tmp_path)
    assert load(tmp_path)[0].init_token_ids is None


def test_rows_of_several_embeddings_are_several_prompts(tmp_path: Path) -> None:
    indices = {"wte": [3, 5], "wpe": [1]}
    lora = peft.LoraConfig(
        target_modules=["c_attn"], r=2, fan_in_fan_out=True, trainable_token_indices=indices
    )
    trained(gpt2(), lora).save_pretrained(tmp_path / "both")
    found = {prompt.name: prompt.init_token_ids for prompt in load(tmp_path / "both")}
    assert found == {"both-wte": (3, 5), "both-wpe": None}


def test_a_configuration_that_names_other_tokens_is_refused(tmp_path: Path) -> None:
    trained(gpt2(), peft.TrainableTokensConfig(token_indices=[3, 5])).save_pretrained(tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"token_indices": [1, 2, 3]}))
    with pytest.raises(PromptFormatError, match=r"names 3 tokens, the file holds 2 rows"):
        load(tmp_path)


def test_the_start_survives_conversion(tmp_path: Path) -> None:
    trained(gpt2(), peft.TrainableTokensConfig(token_indices=[3, 5])).save_pretrained(
        tmp_path / "a"
    )
    (prompt,) = load(tmp_path / "a")
    (again,) = load(save(prompt, tmp_path / "b.safetensors", to="safetensors"))
    assert (again.init_token_ids, again.method) == ((3, 5), "trainable_tokens")
