"""A Gemma multiplies the rows it looks up by √H: every command reads what the model feeds on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Gemma2Config, Gemma2ForCausalLM

import probe as package
from probe.analysis.controls import OFF_THE_MANIFOLD
from probe.models import load_model
from probe.notes import collected
from probe.studies import sources
from probe.training import TrainConfig, train
from probe.training.initialise import start_of
from tests import tiny
from tests.trainable import write_task

TEXT = "Is this text good or bad?"
SHORT = ["--steps", "3", "--batch-size", "4", "--device", "cpu", "--json"]
WIDTH = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random Gemma 2 with the tokenizer of the builtin model."""
    folder = tmp_path_factory.mktemp("gemma2")
    builtin = Path(package.__file__).parent / "builtin"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(builtin / name, folder)
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=16384,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=12,
        max_position_embeddings=64,
    )
    Gemma2ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ids(model):
    found = package.load_vocabulary(model).encode(TEXT)
    assert len(found) == 7
    return found


@pytest.fixture
def seven_tokens(model, ids, tmp_path):
    """A prompt that is what transformers feeds on for the seven tokens of a text."""
    layer = AutoModelForCausalLM.from_pretrained(model).get_input_embeddings()
    with torch.no_grad():
        np.save(tmp_path / "seven.npy", layer(torch.tensor(ids)).numpy())
    return tmp_path / "seven.npy"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path):
    write_task(tmp_path / "moods")


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_a_prompt_that_is_a_text_decodes_to_it_at_distance_0(
    metric, probe, model, ids, seven_tokens
):
    found = probe("decode", seven_tokens, "--model", model, "--metric", metric, "--json").json
    assert found["text"] == TEXT
    nearest = [position["neighbours"][0] for position in found["positions"]]
    assert [one["id"] for one in nearest] == ids
    best = 0 if metric == "l2" else 1
    assert [one["score"] for one in nearest] == pytest.approx([best] * 7, abs=1e-12)
    assert [position["controls"]["flags"] for position in found["positions"]] == [[]] * 7
    assert {position["controls"]["vocabulary"] for position in found["positions"]} == {100}


def test_find_and_map_agree(probe, model, ids, seven_tokens):
    asked = ["--model", model, "--metric", "l2", "--json"]
    (match, *_) = probe("find", f"#{ids[3]}", seven_tokens, *asked).json["matches"]
    assert (match["position"], match["score"]) == (3, 0)
    points = probe("map", seven_tokens, *asked).json["points"]
    assert [point["neighbours"][0]["id"] for point in points] == ids
    assert [point["neighbours"][0]["score"] for point in points] == [0] * 7


def test_a_prompt_that_stays_at_its_target_text_spells_it(probe, model, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "own"))  # studies keep runs in the cache
    (tmp_path / "mine.txt").write_text(f"{TEXT}\n")
    study = probe(
        "wayward", "--model", model, "--task", "moods", "--targets", "mine.txt", "--init",
        "target", "--lr", "1e-9", "--gamma", "0.01", "--seeds", "1", *SHORT,
    )  # fmt: skip
    frame = pd.read_parquet(study.json["results"])
    assert len(frame) == 2 and set(frame["f1"]) == set(frame["token_match"]) == {1.0}
    assert set(frame["decoded"]) == {TEXT}


def test_runs_kept_before_rows_were_multiplied_are_not_taken_again(model):
    assert sources.fingerprint_of(str(model), "cpu", None).endswith(f" rows times {WIDTH**0.5:.4g}")
    assert sources.fingerprint_of("builtin", "cpu", None).endswith(" torch.float32")


@pytest.mark.parametrize("method", ["prompt_tuning", "pez"])
def test_a_trained_prompt_starts_at_tokens_and_a_pez_prompt_stays_at_them(method, model, ids):
    still = method == "prompt_tuning"
    config = TrainConfig(
        method=method,
        init=f"text:{TEXT}",
        learning_rate=1e-9 if still else 0.5,
        steps=3,
        eval_every=0,
    )
    training = train(load_model(model, device="cpu"), tiny.task(), config)
    moved = [step.moved for step in training]
    found = package.decode(training.prompts[0], model, metric="l2")
    nearest = [position.neighbours[0] for position in found.positions]
    assert [one.score for one in nearest] == pytest.approx([0] * 7, abs=1e-7)
    assert not any(OFF_THE_MANIFOLD in position.controls.flags for position in found.positions)
    if still:
        assert [one.id for one in nearest] == ids
        assert moved == [0, 0, 0]
        assert found.never_left_start == (7, 7)


@pytest.fixture
def adapters(model, ids, tmp_path):
    """The same seven tokens as PEFT saves them: today, and before Gemma's layer multiplied."""
    layer = AutoModelForCausalLM.from_pretrained(model).get_input_embeddings()
    with torch.no_grad():
        today, before = layer(torch.tensor(ids)), layer.weight[ids].clone()
    for name, rows in (("today", today), ("before", before)):
        folder = tmp_path / name
        folder.mkdir()
        save_file({"prompt_embeddings": rows}, folder / "adapter_model.safetensors")
        config = {
            "peft_type": "PROMPT_TUNING",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": str(model),
            "num_virtual_tokens": 7,
            "token_dim": WIDTH,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.mark.slow
def test_a_prompt_at_the_size_of_the_stored_table_is_said_to_be_one(
    probe, model, adapters, check_schema
):
    factor = WIDTH**0.5
    for command in ("decode", "inspect"):
        found = probe(command, adapters / "before", "--json")
        check_schema(command, found.json)
        row = found.json["prompts"][0] if command == "inspect" else found.json
        assert row["embedding_factor"] == pytest.approx(factor)
        (note,) = row["notes"]
        assert "before transformers 5.4" in note and f"1/{factor:.4g} of its strength" in note
        assert found.err.count(note) == 1
        same = probe(command, adapters / "today", "--json")
        row = same.json["prompts"][0] if command == "inspect" else same.json
        assert row["embedding_factor"] == pytest.approx(factor)
        assert row["notes"] == [] and not same.err
    assert f"table × {factor:.4g}" in probe("decode", adapters / "today").flat
    assert f"table × {factor:.4g}" in probe("inspect", adapters / "today").flat


def test_answers_of_a_prompt_at_the_size_of_the_stored_table_come_with_a_note(
    probe, adapters, check_schema
):
    asked = [
        "--text",
        "it was",
        "--label-word",
        "good",
        "--label-word",
        "bad",
        "--device",
        "cpu",
        "--json",
    ]
    found = probe("predict", adapters / "before", adapters / "today", *asked)
    check_schema("predict", found.json)
    (note,) = found.json["notes"]
    assert note.startswith("before has rows of norm") and found.err.count(note) == 1
    times = f"multiply its rows by {WIDTH**0.5:.4g}"
    assert times in note
    written = probe(
        "generate", adapters / "before", "--text", "it", "--max-new-tokens", "1", "--json"
    )
    assert written.json["notes"] == [note]


def test_a_training_that_starts_at_such_a_prompt_says_so(model, adapters):
    opened = load_model(model, device="cpu")
    for name, count in (("before", 1), ("today", 0)):
        with collected() as notes:
            start_of(opened, tiny.task(), TrainConfig(init=f"prompt:{adapters / name}"))
        assert len(notes) == count and all("before has rows of norm" in line for line in notes)


def test_a_model_that_is_elsewhere_or_damaged_does_not_keep_a_prompt_from_being_inspected(
    probe, adapters
):
    config = adapters / "before" / "adapter_config.json"
    (adapters / "broken").mkdir()
    for model in (
        "org/elsewhere",
        str(adapters / "broken"),
        "~nobody/x",
        "a\0b",
        "//nobody/x",
        "\\\\nobody\\x",
    ):
        document = json.loads(config.read_text()) | {"base_model_name_or_path": model}
        config.write_text(json.dumps(document))
        found = probe("inspect", adapters / "before", "--json")
        assert found.code == 0
        assert found.json["prompts"][0]["embedding_factor"] is None


def test_a_model_in_the_hubs_cache_is_read_from_there(probe, adapters, model, monkeypatch):
    snapshot = adapters / "hub" / "models--org--gemma" / "snapshots" / ("0" * 40)
    shutil.copytree(model, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(adapters / "hub"))
    config = adapters / "before" / "adapter_config.json"
    document = json.loads(config.read_text()) | {"base_model_name_or_path": "org/gemma"}
    config.write_text(json.dumps(document))
    (row,) = probe("inspect", adapters / "before", "--json").json["prompts"]
    assert row["embedding_factor"] == pytest.approx(WIDTH**0.5) and len(row["notes"]) == 1
