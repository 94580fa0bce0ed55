"""AdapterHub adapters: keys and configuration of adapters/methods/{prompt,prefix}_tuning.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from probe.errors import PromptFormatError
from probe.formats import load
from probe.prompt import KVPrefix
from tests.formats.made_files import randomise, state_of

PROMPT = {"architecture": "prompt_tuning", "combine": "prefix", "prompt_length": 4}
PREFIX = {"architecture": "prefix_tuning", "prefix_length": 5, "non_linearity": "tanh"}


def adapter(
    folder: Path, tensors: dict[str, torch.Tensor], config: dict[str, object], safe: bool = True
) -> Path:
    """A folder as `model.save_adapter` leaves it."""
    folder.mkdir(exist_ok=True)
    document = {
        "config": config,
        "hidden_size": 6,
        "model_class": "BertAdapterModel",
        "model_name": "bert-base-uncased",
        "model_type": "bert",
        "name": "sst2",
        "version": "adapters.1.2.0",
    }
    (folder / "adapter_config.json").write_text(json.dumps(document))
    if safe:
        save_file(tensors, folder / "adapter.safetensors")
    else:
        torch.save(tensors, folder / "pytorch_adapter.bin")
    return folder


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
def test_prompt_tuning_is_read_with_its_names(safe: bool, tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    key = "bert.prompt_tuning.prompt_tunings.sst2.prompt_embedding.weight"
    (prompt,) = load(adapter(tmp_path / "a", {key: rows}, PROMPT, safe))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert (prompt.name, prompt.base_model) == ("sst2", "bert-base-uncased")
    assert (prompt.method, prompt.provenance.format) == ("prompt_tuning", "adapterhub")


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_prefix_runs_through_its_network(activation: str, tmp_path: Path) -> None:
    """`PrefixTuning.forward`: wte, Linear, activation, Linear, then [P, 2·L, heads, d]."""
    wte = nn.Embedding(5, 6)
    act = nn.Tanh() if activation == "tanh" else nn.ReLU()
    control = nn.Sequential(nn.Linear(6, 7), act, nn.Linear(7, 3 * 2 * 6))
    for number, module in enumerate((wte, control)):
        randomise(module, number)
    stem = "bert.prefix_tuning.prefix_tunings.sst2.self_prefix."
    state = {stem + k: v for k, v in state_of({"wte": wte, "control_trans": control}).items()}

    (prefix,) = load(adapter(tmp_path / "a", state, PREFIX | {"non_linearity": activation}))

    assert isinstance(prefix, KVPrefix)
    folded = control(wte.weight).view(5, 3, 2, 6).permute(1, 2, 0, 3).detach().numpy()
    np.testing.assert_allclose(prefix.keys[:, 0], folded[:, 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(prefix.values[:, 0], folded[:, 1], rtol=1e-5, atol=1e-5)
    assert (prefix.name, prefix.submodule) == ("sst2", None)


def test_an_ejected_prefix_is_unfolded_by_its_configuration(tmp_path: Path) -> None:
    """`PrefixTuning.eject` keeps one vector of P·2·L·H numbers, position by position."""
    flat = torch.randn(5 * 2 * 3 * 6)
    key = "bert.prefix_tuning.prefix_tunings.sst2.self_prefix.control_trans"
    (prefix,) = load(adapter(tmp_path / "a", {key: flat}, PREFIX | {"flat": True}))
    assert isinstance(prefix, KVPrefix)
    folded = flat.view(5, 3, 2, 6).numpy()
    np.testing.assert_array_equal(prefix.values[2, 0, 4], folded[4, 2, 1])
    np.testing.assert_array_equal(prefix.keys[1, 0, 3], folded[3, 1, 0])


def test_an_encoder_decoder_model_has_a_prefix_per_place(tmp_path: Path) -> None:
    stem = "t5.prefix_tuning.prefix_tunings.sst2."
    places = ("encoder_prefix", "self_prefix", "cross_prefix")
    state = {f"{stem}{place}.control_trans": torch.randn(5 * 2 * 3 * 6) for place in places}
    prompts = load(adapter(tmp_path / "a", state, PREFIX | {"flat": True}))
    assert {p.name: p.submodule for p in prompts} == {
        "sst2-encoder_prefix": "encoder",
        "sst2-self_prefix": "decoder",
        "sst2-cross_prefix": "decoder",
    }


def test_a_bottleneck_adapter_is_named_and_refused(tmp_path: Path) -> None:
    state = {"bert.encoder.layer.0.adapters.sst2.adapter_down.0.weight": torch.randn(2, 6)}
    with pytest.raises(PromptFormatError, match="a bottleneck adapter, not a soft prompt"):
        load(adapter(tmp_path / "a", state, {"mh_adapter": True}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prefix_length": 7}, "the prefix is incomplete or does not fit together"),
        ({"prefix_length": "x"}, "the prefix is incomplete or does not fit together"),
    ],
)
def test_a_configuration_that_contradicts_the_file_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    key = "bert.prefix_tuning.prefix_tunings.sst2.self_prefix.control_trans"
    with pytest.raises(PromptFormatError, match=message):
        load(adapter(tmp_path / "a", {key: torch.randn(180)}, PREFIX | changes))


def test_heads_of_another_width_than_the_model_take_its_configuration(tmp_path: Path) -> None:
    """T5: `num_heads` × `d_kv` numbers per layer, which need not be `d_model`."""
    flat = torch.randn(5 * 2 * 3 * 8)
    key = "t5.prefix_tuning.prefix_tunings.sst2.self_prefix.control_trans"
    folder = adapter(tmp_path / "a", {key: flat}, PREFIX | {"flat": True})
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "t5"}))
    with pytest.raises(PromptFormatError, match=r"how wide: put the model's config\.json beside"):
        load(folder)

    model = {"num_layers": 3, "num_heads": 2, "d_kv": 4, "d_model": 6}
    (folder / "config.json").write_text(json.dumps(model))
    (prefix,) = load(folder)

    assert isinstance(prefix, KVPrefix)
    folded = flat.view(5, 6, 2, 4).permute(1, 2, 0, 3).numpy()
    np.testing.assert_array_equal(prefix.keys, folded[0::2])
    np.testing.assert_array_equal(prefix.values, folded[1::2])
