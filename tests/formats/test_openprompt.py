"""OpenPrompt templates, rebuilt with the modules of thunlp/OpenPrompt openprompt/prompts/*.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from probe.errors import PromptFormatError
from probe.formats import load
from probe.prompt import KVPrefix
from tests.formats.made_files import randomise, state_of, torch_file

VOCABULARY = nn.Embedding(50, 6)
"""`raw_embedding`, which every template carries along."""


def test_a_soft_template_gives_its_rows_not_the_vocabulary(tmp_path: Path) -> None:
    """soft_template.py, `generate_parameters`."""
    rows = torch.randn(4, 6)
    state = state_of({"raw_embedding": VOCABULARY}) | {"soft_embeds": rows}
    (prompt,) = load(torch_file(tmp_path / "sst2.pt", state))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert (prompt.name, prompt.provenance.format) == ("sst2", "openprompt")


def test_a_whole_prompt_model_gives_the_same_rows(tmp_path: Path) -> None:
    """Trainer checkpoints keep the template within `state_dict`."""
    rows = torch.randn(4, 6)
    state = {"state_dict": {"template.soft_embeds": rows}, "epoch": 3}
    (prompt,) = load(torch_file(tmp_path / "best.ckpt", state))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())


def test_row_0_of_a_mixed_template_is_no_prompt_token(tmp_path: Path) -> None:
    """mixed_template.py, `prepare`: id 0 means "not a soft token"."""
    mixed = nn.Embedding(5, 6)
    state = state_of({"raw_embedding": VOCABULARY, "soft_embedding": mixed})
    (prompt,) = load(torch_file(tmp_path / "mixed.pt", state))
    np.testing.assert_array_equal(prompt.embeddings, mixed.weight.detach().numpy()[1:])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("encoder", ["lstm", "mlp"])
def test_p_tuning_is_given_as_its_encoder_makes_it(encoder: str, seed: int, tmp_path: Path) -> None:
    """ptuning_prompts.py, `generate_parameters` and `process_batch`; built on MixedTemplate."""
    width, tokens = 3 + seed, 2 + seed
    modules: dict[str, nn.Module] = {
        "raw_embedding": nn.Embedding(50, width),
        "soft_embedding": nn.Embedding(1 + tokens, width),
        "new_embedding": nn.Embedding(tokens, width),
    }
    if encoder == "lstm":
        modules["new_lstm_head"] = nn.LSTM(
            width, width, num_layers=2, bidirectional=True, batch_first=True
        )
    inputs = 2 * width if encoder == "lstm" else width
    modules["new_mlp_head"] = nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width)
    )
    for number, module in enumerate(modules.values()):
        randomise(module, 10 * seed + number)
    state = state_of(modules) | {"new_ids": torch.arange(tokens)}

    (prompt,) = load(torch_file(tmp_path / "ptuning.pt", state))

    made = modules["new_embedding"].weight[None]
    if encoder == "lstm":
        made = modules["new_lstm_head"](made)[0]
    made = modules["new_mlp_head"](made)[0].detach().numpy()
    np.testing.assert_allclose(prompt.embeddings, made, rtol=1e-5, atol=1e-5)
    assert prompt.method == "p_tuning"


def _network(width: int, layers: int, seed: int) -> tuple[nn.Embedding, nn.Sequential]:
    embedding = nn.Embedding(5, width)
    network = nn.Sequential(
        nn.Linear(width, 7), nn.Tanh(), nn.Linear(7, layers * 2 * width)
    )  # the Tanh has no parameters, so keys are numbered 0 and 2
    randomise(embedding, seed)
    randomise(network, seed + 1)
    return embedding, network


def _cache(embedding: nn.Embedding, network: nn.Sequential, layers: int) -> np.ndarray:
    """`get_past_key_values` of prefix_tuning_template.py with one head: [2·L, 1, P, H]."""
    flat = network(embedding.weight)[None]
    folded = flat.view(1, len(embedding.weight), layers * 2, 1, -1).permute(2, 0, 3, 1, 4)
    return folded[:, 0].detach().numpy()


def test_a_prefix_template_of_both_halves_gives_two_prefixes(tmp_path: Path) -> None:
    wte, control = _network(6, 3, 0)
    decoder_wte, decoder_control = _network(6, 2, 5)
    state = state_of(
        {
            "wte": wte,
            "control_trans": control,
            "decoder_wte": decoder_wte,
            "decoder_control_trans": decoder_control,
        }
    ) | {"input_tokens": torch.arange(5)}

    encoder, decoder = load(torch_file(tmp_path / "prefix.pt", state))

    for prefix, half, expected in (
        (encoder, "encoder", _cache(wte, control, 3)),
        (decoder, "decoder", _cache(decoder_wte, decoder_control, 2)),
    ):
        assert isinstance(prefix, KVPrefix)
        assert (prefix.name, prefix.submodule) == (f"prefix-{half}", half)
        np.testing.assert_allclose(prefix.keys, expected[0::2], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(prefix.values, expected[1::2], rtol=1e-5, atol=1e-5)
        assert "joined" in prefix.config["heads"]


def test_the_older_prefix_template_has_one_unnamed_half(tmp_path: Path) -> None:
    wte, control = _network(6, 3, 0)
    (prefix,) = load(
        torch_file(tmp_path / "prefix.pt", state_of({"wte": wte, "control_trans": control}))
    )
    assert isinstance(prefix, KVPrefix)
    assert prefix.submodule is None
    assert prefix.keys.shape == (3, 1, 5, 6)


@pytest.mark.parametrize("missing", ["wte.weight", "control_trans.2.bias"])
def test_an_incomplete_encoder_is_refused(missing: str, tmp_path: Path) -> None:
    wte, control = _network(6, 3, 0)
    state = state_of({"wte": wte, "control_trans": control})
    del state[missing]
    with pytest.raises(
        PromptFormatError, match="template's prompt encoder is incomplete or does not fit"
    ):
        load(torch_file(tmp_path / "prefix.pt", state))


def test_a_second_copy_of_the_template_is_left_out_whole(tmp_path: Path) -> None:
    """As checkpoints keep averages of the weights beside them, behind other modules."""
    wte, control = _network(6, 3, 0)
    own = state_of({"wte": wte, "control_trans": control})
    state = {"plm.wte.weight": torch.randn(50, 6)}
    for place, factor in (("template", 1), ("average", 2)):
        state |= {f"{place}.{key}": factor * value for key, value in own.items()}
    (prefix,) = load(torch_file(tmp_path / "prefix.pt", state))
    assert isinstance(prefix, KVPrefix)
    np.testing.assert_allclose(prefix.keys, _cache(wte, control, 3)[0::2], rtol=1e-5, atol=1e-5)
    assert all(one.name.startswith(("plm.", "average.")) for one in prefix.left_out)
