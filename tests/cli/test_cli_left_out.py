"""A part of what was trained is asked with a note, on stderr and in JSON."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from probe import verbs
from probe.prompt import LeftOut, SoftPrompt
from probe.reports.page import provenance
from tests.trainable import write_model, write_task

WORDS = ["bright", "dull"]


@pytest.fixture(scope="module")
def here_once(tmp_path_factory):
    """A model, a task, and a PEFT classifier's adapter with its trained head."""
    root = tmp_path_factory.mktemp("left_out")
    model = write_model(root / "model")
    write_task(root / "moods")
    folder = root / "adapter"
    folder.mkdir()
    rows = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    tensors = {"prompt_embeddings": rows, "base_model.score.weight": rows}
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "SEQ_CLS",
        "num_virtual_tokens": 2,
        "base_model_name_or_path": str(model),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return root


@pytest.fixture
def here(here_once, monkeypatch):
    monkeypatch.chdir(here_once)
    return here_once


def asking(command):
    match command:
        case "evaluate" | "transfer":
            return ("--task", "moods")
        case "predict":
            return ("--text", "so", "--label-word", WORDS[0], "--label-word", WORDS[1])
    return ("--text", "so", "--max-new-tokens", 1)


@pytest.mark.parametrize("command", ["evaluate", "predict", "generate", "transfer"])
def test_a_trained_head_that_was_left_out_is_noted(here, probe, check_schema, command):
    found = probe(command, "./adapter", *asking(command), "--json")
    check_schema(command, found.json)
    (note,) = found.json["notes"]
    assert note == (
        "adapter is one part of what was trained: it is asked without a trained head "
        "(base_model.score.weight), so its scores are not those of the whole"
    )
    assert (found.code, found.err) == (0, f"probe: {note}\n")


def test_it_is_noted_from_the_library_too(here, probe):
    assert probe("library", "add", "./adapter").code == 0
    (note,) = probe("evaluate", "adapter", "--task", "moods", "--json").json["notes"]
    assert "without a trained head (base_model.score.weight)" in note


@pytest.mark.parametrize("to", ["npy", "peft"])
def test_converting_a_part_says_what_is_not_written(here, probe, tmp_path, to):
    found = probe("convert", "./adapter", tmp_path / "out", "--to", to)
    line = "adapter is written without a trained head (base_model.score.weight), which it was"
    assert found.code == 0 and found.err.startswith(f"probe: {line} trained with")


def test_a_base_model_that_two_places_name_otherwise_is_noted(here, probe):
    (here / "adapter" / "README.md").write_text("---\nbase_model: someone/else\n---\n")
    try:
        notes = probe("predict", "./adapter", *asking("predict"), "--json").json["notes"]
    finally:
        (here / "adapter" / "README.md").unlink()
    assert any("README.md names base model 'someone/else'" in note for note in notes)


def test_a_report_lists_what_was_left_out():
    frozen = LeftOut("wte.weight", (9, 16), "the model's table of word embeddings")
    prompt = SoftPrompt("whole", np.ones((2, 16)), left_out=(frozen,))
    origin = provenance(prompt)["origin"]
    assert origin["left out"] == "wte.weight (the model's table of word embeddings)"
    assert "left out" not in provenance(dataclasses.replace(prompt, left_out=()))["origin"]


def test_what_changes_no_answers_is_not_noted(here):
    rows = np.random.default_rng(1).normal(size=(2, 16))
    frozen = LeftOut("wte.weight", (9, 16), "the model's table of word embeddings")
    whole = SoftPrompt("whole", rows, base_model=str(here / "model"), left_out=(frozen,))
    assert verbs.predict([whole], ["so"], label_word=WORDS).notes == ()
    tokens = dataclasses.replace(whole, method="trainable_tokens")
    (note,) = verbs.predict([tokens], ["so"], label_word=WORDS).notes
    assert "rows that replace those of tokens" in note


@pytest.mark.parametrize(
    ("name", "kept"), [("../evil", "evil"), ("a b", "a-b"), ("x" * 300, "x" * 100)]
)
def test_a_name_that_is_changed_when_kept_is_said(here, probe, name, kept):
    from probe.formats import save

    prompt = SoftPrompt(name, np.ones((2, 16)))
    path = save(prompt, here / f"{kept[:5]}.safetensors", to="safetensors")
    result = probe("library", "add", path)
    path.unlink()
    assert result.code == 0
    assert f"is kept as {kept!r}: a name holds letters, digits and ._- alone" in result.err
    assert len(result.err) < 400


def test_a_name_that_is_kept_as_it_is_needs_no_word(here, probe):
    assert probe("library", "add", "./adapter").err == ""
    assert probe("library", "add", "adapter@1").err == ""
