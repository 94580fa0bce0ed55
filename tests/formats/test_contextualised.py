"""Contextualised soft prompts, as kmaherx/csp_arithmetic (train.py) and csp-div save them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from probe.formats import load, save
from probe.prompt import SoftPrompt
from tests.formats.made_files import torch_file

FRAMES = ["Be {sp}.", "Act {sp}.", "Please {sp}.", "You should {sp}."]


def checkpoint(rows: torch.Tensor, **changes: object) -> dict[str, object]:
    return {
        "embedding": rows, "L": 4, "hidden_size": 6, "persona": "pirate", "polarity": "pos",
        "frame_pool": FRAMES, "final_kl": 0.25, "baseline_kl": 1.5, "fraction_explained": 0.83,
        "kl_curve": [1.2, 0.5, 0.25],
        "config": {"steps": 500, "lr": 1e-3, "weight_decay": 0.0, "seed": 42},
    } | changes  # fmt: skip


@pytest.mark.parametrize("batch", [False, True])
def test_rows_metrics_and_settings_are_kept(batch: bool, tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    file = torch_file(tmp_path / "pirate" / "sp_pos.pt", checkpoint(rows[None] if batch else rows))

    (prompt,) = load(file)

    assert isinstance(prompt, SoftPrompt)
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert prompt.name == "pirate-sp_pos"
    assert prompt.metrics == {"final_kl": 0.25, "baseline_kl": 1.5, "fraction_explained": 0.83}
    assert prompt.config["persona"] == "pirate" and prompt.config["frame_pool"] == FRAMES
    assert (prompt.config["steps"], prompt.config["seed"]) == (500, 42)
    assert prompt.config["template"] == "{text} Be {prompt:4}."
    assert prompt.provenance is not None and prompt.provenance.format == "contextualised"


def test_a_checkpoint_before_the_first_step_has_no_measure_yet(tmp_path: Path) -> None:
    state = checkpoint(torch.randn(4, 6), persona="divergent", final_kl=None, kl_curve=[])
    (prompt,) = load(torch_file(tmp_path / "sp_pos_step0.pt", state))
    assert prompt.name == "divergent-sp_pos_step0"
    assert "final_kl" not in prompt.metrics


def test_the_same_facts_in_a_safetensors_header_are_kept(tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    facts = {"persona": "poet", "polarity": "neg", "frame_pool": json.dumps(FRAMES)}
    save_file(
        {"embedding": rows}, tmp_path / "sp.safetensors", metadata=facts | {"final_kl": "0.5"}
    )
    (prompt,) = load(tmp_path / "sp.safetensors")
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert (prompt.name, prompt.metrics) == ("poet-sp", {"final_kl": 0.5})
    assert prompt.config["frame_pool"] == FRAMES


@pytest.mark.parametrize("frames", [[], "Be {sp}.", [3], ["Be {sp} {x}."], ["{sp} {sp}"], None])
def test_strange_frames_make_no_template(frames: object, tmp_path: Path) -> None:
    state = checkpoint(torch.randn(4, 6), frame_pool=frames)
    (prompt,) = load(torch_file(tmp_path / "sp.pt", state))
    assert "template" not in prompt.config


def test_it_survives_being_kept(tmp_path: Path) -> None:
    (prompt,) = load(torch_file(tmp_path / "sp.pt", checkpoint(torch.randn(4, 6))))
    (again,) = load(save(prompt, tmp_path / "sp.safetensors", to="safetensors"))
    assert (again.metrics, again.config) == (prompt.metrics, prompt.config)
