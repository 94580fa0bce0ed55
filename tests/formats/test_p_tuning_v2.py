"""P-tuning v2 and ChatGLM: what their `get_prompt` cuts from a row is the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.prompt import KVPrefix
from tests.formats.made_files import torch_file

P, LAYERS, HEADS, HEAD_DIM = 3, 4, 2, 5
BERT = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "hidden_size": HEADS * HEAD_DIM}
CHATGLM = {
    "_name_or_path": "THUDM/chatglm-6b", "pre_seq_len": P, "num_layers": LAYERS,
    "num_attention_heads": HEADS, "hidden_size": HEADS * HEAD_DIM,
}  # fmt: skip
CHATGLM2 = {
    "pre_seq_len": P, "num_layers": LAYERS, "num_attention_heads": 8, "kv_channels": HEAD_DIM,
    "multi_query_attention": True, "multi_query_group_num": HEADS, "hidden_size": 20 * HEAD_DIM,
}  # fmt: skip


def key_values(rows: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """`get_prompt` of modeling_chatglm.py, less the batch: [L, heads, P, head_dim] each."""
    past = rows.view(1, P, LAYERS * 2, HEADS, HEAD_DIM).permute(2, 1, 0, 3, 4).split(2)
    keys, values = (torch.stack([layer[i] for layer in past])[:, :, 0] for i in (0, 1))
    return keys.permute(0, 2, 1, 3).numpy(), values.permute(0, 2, 1, 3).numpy()


def checkpoint(folder: Path, config: dict[str, Any] | None, **more: torch.Tensor) -> torch.Tensor:
    rows = torch.randn(P, LAYERS * 2 * HEADS * HEAD_DIM)
    torch_file(
        folder / "pytorch_model.bin", {"transformer.prefix_encoder.embedding.weight": rows, **more}
    )
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return rows


@pytest.mark.parametrize("config", [BERT, CHATGLM, CHATGLM2], ids=["bert", "chatglm", "chatglm2"])
def test_rows_become_the_keys_and_values_the_model_starts_with(
    config: dict[str, Any], tmp_path: Path
) -> None:
    rows = checkpoint(tmp_path / "adgen", config)

    (prefix,) = load(tmp_path / "adgen" / "pytorch_model.bin")

    assert isinstance(prefix, KVPrefix)
    keys, values = key_values(rows)
    np.testing.assert_array_equal(prefix.keys, keys)
    np.testing.assert_array_equal(prefix.values, values)
    assert (prefix.name, prefix.base_model) == ("adgen", config.get("_name_or_path"))


def test_a_projected_prefix_is_run_through_its_network(tmp_path: Path) -> None:
    hidden = HEADS * HEAD_DIM
    embedding = torch.nn.Embedding(P, hidden)
    trans = torch.nn.Sequential(
        torch.nn.Linear(hidden, 6), torch.nn.Tanh(), torch.nn.Linear(6, LAYERS * 2 * hidden)
    )
    state = torch.nn.ModuleDict({"prefix_encoder": torch.nn.ModuleDict(
        {"embedding": embedding, "trans": trans}
    )}).state_dict()  # fmt: skip
    torch_file(tmp_path / "pytorch_model.bin", state)
    (tmp_path / "config.json").write_text(json.dumps(BERT))

    (prefix,) = load(tmp_path / "pytorch_model.bin")

    expected = key_values(trans(embedding.weight).detach())[0]
    assert isinstance(prefix, KVPrefix)
    np.testing.assert_allclose(prefix.keys, expected, rtol=1e-5, atol=1e-5)


def test_without_the_models_configuration_it_is_refused_for_what_it_is(tmp_path: Path) -> None:
    checkpoint(tmp_path, None)
    with pytest.raises(PromptFormatError, match="keys and values of every .* config.json beside"):
        load(tmp_path / "pytorch_model.bin")


def test_another_models_configuration_is_refused_with_both_numbers(tmp_path: Path) -> None:
    checkpoint(tmp_path, CHATGLM | {"num_layers": LAYERS + 1})
    with pytest.raises(PromptFormatError, match="5 layers × 2 heads × 5 numbers, which rows"):
        load(tmp_path / "pytorch_model.bin")


def test_the_bare_embedding_beside_its_configuration_is_a_prefix(tmp_path: Path) -> None:
    rows = checkpoint(tmp_path, CHATGLM)
    np.save(tmp_path / "prompt.npy", rows.numpy())
    (prefix,) = load(tmp_path / "prompt.npy")
    assert isinstance(prefix, KVPrefix)
    np.testing.assert_array_equal(prefix.keys, key_values(rows)[0])


def test_soft_prompts_beside_a_models_configuration_stay_soft_prompts(tmp_path: Path) -> None:
    checkpoint(tmp_path, CHATGLM)
    np.save(tmp_path / "prompt.npy", np.ones((P, HEADS * HEAD_DIM), np.float32))
    assert not isinstance(load(tmp_path / "prompt.npy")[0], KVPrefix)


def test_the_width_of_chatglm_alone_is_no_prompts(tmp_path: Path) -> None:
    """28 layers of 4,096 keys and values in one row; no model is that wide."""
    torch_file(tmp_path / "prompt.pt", torch.zeros(2, 28 * 2 * 4096))
    with pytest.raises(PromptFormatError, match="keys and values of every layer in one row"):
        load(tmp_path / "prompt.pt")


def test_a_trained_head_is_named(tmp_path: Path) -> None:
    checkpoint(tmp_path, BERT, **{"classifier.weight": torch.randn(2, 10)})
    (one,) = load(tmp_path / "pytorch_model.bin")[0].left_out
    assert (one.name, one.changes_answers) == ("classifier.weight", True)


def test_it_cannot_be_written_as_a_soft_prompt(tmp_path: Path) -> None:
    checkpoint(tmp_path, CHATGLM)
    (prefix,) = load(tmp_path / "pytorch_model.bin")
    with pytest.raises(PromptFormatError, match="keys and values in every layer, which koboldai"):
        save(prefix, tmp_path / "x.zip", to="koboldai")


def test_a_second_copy_of_the_encoder_is_left_out(tmp_path: Path) -> None:
    copy = "average.prefix_encoder.embedding.weight"
    rows = checkpoint(tmp_path, BERT, **{copy: torch.zeros(P, LAYERS * 2 * HEADS * HEAD_DIM)})
    (prefix,) = load(tmp_path / "pytorch_model.bin")
    np.testing.assert_array_equal(prefix.keys, key_values(rows)[0])
    assert [one.name for one in prefix.left_out] == [copy]
