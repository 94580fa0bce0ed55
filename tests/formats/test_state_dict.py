"""Known keys in foreign state dicts, and dictionaries of nothing but prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from probe.errors import PromptFormatError
from probe.formats import load
from tests.formats.made_files import torch_file

TABLE = torch.randn(50, 6)


@pytest.mark.parametrize(
    ("state", "reader"),
    [
        # opendelta/delta_models/soft_prompt.py, `SoftPromptLayer.instantiate`
        ({"encoder.soft_prompt_layer.soft_embeds": ...}, "opendelta"),
        # kipgparker/soft-prompt-tuning soft_embedding.py: the wrapper keeps the table as `wte`
        (
            {"transformer.wte.learned_embedding": ..., "transformer.wte.wte.weight": TABLE},
            "kipgparker",
        ),
        ({"learned_embedding": ..., "wte.weight": TABLE}, "kipgparker"),
        # Alrope123/prompt-waywardness run.py saves this one key
        ({"transformer.wte.new_embed.weight": ...}, "waywardness"),
        (
            {"state_dict": {"transformer.model.transformer.wte.new_embed.weight": ...}},
            "waywardness",
        ),
    ],
)
def test_a_known_key_gives_the_prompt(state: dict, reader: str, tmp_path: Path) -> None:
    rows = torch.randn(4, 6)

    def filled(part: dict) -> dict:
        return {
            key: filled(value) if isinstance(value, dict) else rows if value is ... else value
            for key, value in part.items()
        }

    (prompt,) = load(torch_file(tmp_path / "sst2" / "pytorch_model.bin", filled(state)))

    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert (prompt.name, prompt.provenance.format) == ("sst2", reader)


def coop_checkpoint(ctx: torch.Tensor) -> dict[str, object]:
    """trainers/coop.py of KaiyangZhou/CoOp: buffers of fixed tokens stand beside `ctx`."""
    buffers = {"token_prefix": torch.randn(3, 1, 6), "token_suffix": torch.randn(3, 9, 6)}
    return {"state_dict": {"ctx": ctx} | buffers, "epoch": 50, "optimizer": None}


def test_coop_gives_one_prompt_or_one_per_class(tmp_path: Path) -> None:
    shared, per_class = torch.randn(4, 6), torch.randn(3, 4, 6)
    (prompt,) = load(torch_file(tmp_path / "shared", coop_checkpoint(shared)))
    np.testing.assert_array_equal(prompt.embeddings, shared.numpy())
    prompts = load(torch_file(tmp_path / "ours", coop_checkpoint(per_class)))
    assert [p.name for p in prompts] == ["ours-class0", "ours-class1", "ours-class2"]
    np.testing.assert_array_equal(prompts[2].embeddings, per_class[2].numpy())


def test_an_npz_gives_one_prompt_per_array(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = {name: rng.normal(size=(n, 6)) for name, n in (("sst2", 4), ("trec", 5))}
    np.savez_compressed(tmp_path / "both.npz", **arrays)
    prompts = load(tmp_path / "both.npz")
    assert {p.name: len(p) for p in prompts} == {"sst2": 4, "trec": 5}
    assert {p.provenance.format for p in prompts if p.provenance} == {"npz"}
    (trec,) = load(f"{tmp_path / 'both.npz'}#trec")
    np.testing.assert_array_equal(trec.embeddings, arrays["trec"].astype(np.float32))
    with pytest.raises(PromptFormatError, match="no single prompt 'x', it holds 'sst2', 'trec'"):
        load(f"{tmp_path / 'both.npz'}#x")


@pytest.mark.parametrize("key", ["prompt", "whatever.weight"])
def test_a_single_matrix_is_a_prompt_under_any_key(key: str, tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    save_file({key: rows}, tmp_path / "mine.safetensors")
    (prompt,) = load(tmp_path / "mine.safetensors")
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert (prompt.name, prompt.method) == ("mine", "unknown")


@pytest.mark.parametrize(
    "state",
    [
        {"layer.0.weight": torch.randn(6, 6), "layer.1.weight": torch.randn(6, 6)},
        {"lora_A": torch.randn(2, 6), "lora_B": torch.randn(8, 2)},
        {"w": torch.randn(2, 6), "b": torch.randn(3, 3, 3)},
        {"step": 3},
        {},
    ],
)
def test_a_models_own_weights_are_no_prompts(state: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(PromptFormatError, match="expected a soft prompt, found a pickle file"):
        load(torch_file(tmp_path / "model.bin", state))
