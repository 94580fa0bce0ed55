"""Which models rows of a width fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.tables import ALWAYS_NAMED, load_vocabulary
from probe.tables.widths import models_of_width


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds no model yet."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def _cache(folder: Path, name: str, config: str) -> None:
    place = folder / f"models--{name.replace('/', '--')}"
    snapshot = place / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(config)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")


def test_models_in_the_cache_come_before_the_usual_ones_of_their_width(cached: Path) -> None:
    _cache(cached, "own/wide", json.dumps({"hidden_size": 768, "vocab_size": 9}))
    _cache(cached, "own/narrow", json.dumps({"hidden_size": 64, "vocab_size": 9}))
    _cache(cached, "own/images", json.dumps({"hidden_size": 64}))
    found = models_of_width(768)
    assert found[0] == "own/wide"
    assert {"openai-community/gpt2", "FacebookAI/roberta-base"} < set(found)
    assert models_of_width(64) == ["own/narrow"]


def test_a_width_is_that_of_the_rows_and_of_the_language_model_within(cached: Path) -> None:
    _cache(
        cached,
        "own/opt",
        json.dumps({"hidden_size": 100, "word_embed_proj_dim": 48, "vocab_size": 9}),
    )
    _cache(
        cached,
        "own/sees",
        json.dumps({"text_config": {"hidden_size": 48, "vocab_size": 9}, "d_model": 7}),
    )
    assert models_of_width(48) == ["own/opt", "own/sees"]
    assert models_of_width(100) == []


def test_what_is_damaged_in_the_cache_is_passed_over(cached: Path) -> None:
    _cache(cached, "own/damaged", "{")
    (cached / "models--own--empty").mkdir()
    _cache(cached, "own/odd", json.dumps({"hidden_size": "48", "vocab_size": 9}))
    assert models_of_width(48) == []


def test_models_that_are_always_named_are_offered_for_their_own_width() -> None:
    for name in ALWAYS_NAMED:
        assert name in models_of_width(load_vocabulary(name).table.shape[1])
