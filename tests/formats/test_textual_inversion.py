"""Textual inversion in its three layouts, and folders of concepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from probe.formats import load
from tests.formats.made_files import torch_file


@pytest.mark.parametrize("shape", [(768,), (1, 768), (5, 768)])
@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
def test_diffusers_embeds_are_named_by_their_token(
    shape: tuple[int, ...], safe: bool, tmp_path: Path
) -> None:
    """examples/textual_inversion/textual_inversion.py of diffusers, `save_progress`."""
    rows, folder = torch.randn(shape), tmp_path / "cat"
    folder.mkdir()
    if safe:
        save_file({"<cat-toy>": rows}, folder / "learned_embeds.safetensors")
    else:
        torch.save({"<cat-toy>": rows}, folder / "learned_embeds.bin")
    (prompt,) = load(folder)
    np.testing.assert_array_equal(prompt.embeddings, rows.reshape(-1, 768).numpy())
    assert (prompt.name, prompt.method) == ("<cat-toy>", "textual_inversion")
    assert prompt.provenance.format == "textual_inversion"


def test_the_safetensors_of_a_concept_stands_for_its_bin(tmp_path: Path) -> None:
    save_file({"<a>": torch.zeros(8)}, tmp_path / "learned_embeds.safetensors")
    torch.save({"<a>": torch.ones(8)}, tmp_path / "learned_embeds.bin")
    save_file({"<a>": torch.ones(12)}, tmp_path / "learned_embeds_2.safetensors")
    first, second = load(tmp_path)
    assert (first.embeddings.sum(), second.width) == (0, 12)
    assert [first.name, second.name] == ["<a>", "<a>-2"]


def test_an_a1111_file_gives_name_step_and_checkpoint(tmp_path: Path) -> None:
    """stable-diffusion-webui modules/textual_inversion/textual_inversion.py, `Embedding.save`."""
    rows = torch.randn(2, 768)
    state = {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": torch.nn.Parameter(rows)},
        "name": "noir",
        "step": 500,
        "sd_checkpoint": "abc123",
        "sd_checkpoint_name": "v1-5-pruned",
    }
    (prompt,) = load(torch_file(tmp_path / "x.pt", state))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert (prompt.name, prompt.base_model) == ("noir", "v1-5-pruned")
    assert prompt.config["step"] == 500


def test_the_authors_own_file_keeps_its_rows_in_a_parameter_dict(tmp_path: Path) -> None:
    """rinongal/textual_inversion ldm/modules/embedding_manager.py, `EmbeddingManager.save`."""
    rows = torch.randn(2, 768)
    state = {
        "string_to_token": {"*": torch.tensor(265)},
        "string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(rows)}),
    }
    (prompt,) = load(torch_file(tmp_path / "cat.pt", state))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert (prompt.name, prompt.method) == ("cat", "textual_inversion")


def test_sdxl_gives_one_prompt_per_text_encoder(tmp_path: Path) -> None:
    left, right = torch.randn(2, 768), torch.randn(2, 1280)
    save_file({"clip_g": right, "clip_l": left}, tmp_path / "noir.safetensors")
    first, second = load(tmp_path / "noir.safetensors")
    assert [first.name, second.name] == ["noir-clip_l", "noir-clip_g"]
    np.testing.assert_array_equal(first.embeddings, left.numpy())
    np.testing.assert_array_equal(second.embeddings, right.numpy())
    assert second.config == {"text_encoder": "clip_g"}


def test_kohya_keeps_its_rows_under_emb_params(tmp_path: Path) -> None:
    rows = torch.randn(3, 768)
    save_file({"emb_params": rows}, tmp_path / "noir.safetensors")
    (prompt,) = load(tmp_path / "noir.safetensors")
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert prompt.name == "noir"
