"""`probe inspect` says what each prompt is, and goes on after a bad one."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from probe.formats import save
from probe.prompt import SoftPrompt
from probe.store import sample_folders

SHARED = Path(__file__).parents[2].parent / "shared" / "prompts"


def _rows(seed=0, shape=(5, 16)):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_rows_are_as_the_schema_says(probe, check_schema):
    result = probe("inspect", "sst2-text", "subj-prefix", "--json")
    check_schema("inspect", result.json)
    soft, prefix = result.json["prompts"]
    assert (soft["kind"], soft["shape"], soft["format"]) == ("soft_prompt", [20, 320], "peft")
    assert (soft["base_model"], soft["method"], soft["trained"]) == (
        "builtin",
        "prompt_tuning",
        True,
    )
    assert (prefix["kind"], prefix["shape"]) == ("kv_prefix", [6, 5, 20, 64])
    assert [len(row["norms"]) for row in (soft, prefix)] == [20, 20]
    assert (result.code, result.err) == (0, "")


def test_norms_are_the_lengths_of_the_rows(probe, tmp_path):
    rows = _rows()
    np.save(tmp_path / "mine.npy", rows)
    (row,) = probe("inspect", "mine.npy", "--json").json["prompts"]
    np.testing.assert_allclose(row["norms"], np.linalg.norm(rows, axis=1), rtol=1e-6)


def test_people_get_a_table(probe):
    result = probe("inspect", "sst2-text", "subj-prefix")
    for expected in ("sst2-text", "prompt tuning", "20 × 320", "keys and values", "builtin"):
        assert expected in result.flat


def test_a_folder_stands_for_every_prompt_in_it(probe, tmp_path):
    folder = tmp_path / "prompts"  # beside the workspace, whose cache may hold prompts too
    (folder / "deeper").mkdir(parents=True)
    for number in range(3):
        np.save(folder / f"p{number}.npy", _rows(number, (2 + number, 16)))
    np.save(folder / "deeper" / "p3.npy", _rows(3, (5, 16)))
    (folder / "README.md").write_text("no prompt")
    result = probe("inspect", folder, "--json")
    assert result.code == 0
    shapes = {row["name"]: row["shape"] for row in result.json["prompts"]}
    assert shapes == {"p0": [2, 16], "p1": [3, 16], "p2": [4, 16], "p3": [5, 16]}
    assert "README.md" in result.err and result.err.startswith("probe: left out")


def test_a_bad_file_among_several_is_reported_and_the_others_are_printed(probe, tmp_path):
    np.save(tmp_path / "good.npy", _rows())
    whole = (tmp_path / "good.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    result = probe("inspect", "good.npy", "cut.npy", "sst2-text", "missing.npy", "--json")
    assert result.code == 1
    assert [row["name"] for row in result.json["prompts"]] == ["good", "sst2-text"]
    first, second = result.err.splitlines()
    assert first.startswith("probe: ") and "cut.npy" in first
    assert second.startswith("probe: ") and "missing.npy" in second


def test_only_bad_files_still_give_one_document(probe):
    result = probe("inspect", "missing.npy", "--json")
    assert (result.code, result.json) == (1, {"prompts": []})


def test_one_prompt_of_a_file_can_be_named(probe, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    save_file({"prompt_embeddings": _rows(0, (8, 16))}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(
        '{"peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM", "num_virtual_tokens": 4,'
        ' "num_transformer_submodules": 2, "token_dim": 16}'
    )
    every = probe("inspect", tmp_path, "--json").json["prompts"]
    assert [(row["submodule"], row["trained"]) for row in every] == [
        ("encoder", True),
        ("decoder", False),
    ]
    named = probe("inspect", f"{tmp_path}#{every[1]['name']}", "--json").json["prompts"]
    assert named == [every[1]]
    assert "never trained" in probe("inspect", tmp_path).flat


def test_hostile_names_are_printed_as_text(probe, tmp_path):
    np.save(tmp_path / "[red]a\x1b[31m\u202eb.npy", _rows())
    result = probe("inspect", "[red]a\x1b[31m\u202eb.npy")
    assert result.code == 0 and "\x1b" not in result.out and "\u202e" not in result.out
    assert r"[red]a\x1b[31m\u202eb" in result.out.replace(" ", "").replace("\n", "")


def test_a_file_comes_before_a_workspace_prompt_and_that_before_a_sample(probe, tmp_path):
    np.save(tmp_path / "sst2-text.npy", _rows(0, (3, 16)))
    assert probe("inspect", "sst2-text", "--json").json["prompts"][0]["shape"] == [20, 320]
    assert probe("library", "add", "sst2-text.npy").code == 0
    (stored,) = probe("inspect", "sst2-text", "--json").json["prompts"]
    assert (stored["name"], stored["shape"]) == ("sst2-text@1", [3, 16])
    np.save(tmp_path / "file.npy", _rows(0, (7, 16)))
    (tmp_path / "file.npy").rename(tmp_path / "sst2-text")
    assert probe("inspect", "sst2-text", "--json").json["prompts"][0]["shape"] == [7, 16]


@pytest.mark.slow
def test_every_sample_prompt_can_be_inspected(probe, check_schema):
    names = list(sample_folders())
    result = probe("inspect", *names, "--json")
    check_schema("inspect", result.json)
    assert [row["name"] for row in result.json["prompts"]] == names
    assert len(names) >= 10 and result.code == 0


def _adapter(folder, **config):
    """A PEFT classifier: rows, a trained head, and a second adapter below."""
    folder.mkdir(parents=True)
    tensors = {"prompt_embeddings": _rows(), "base_model.score.weight": _rows(1, (2, 16))}
    save_file(tensors, folder / "adapter_model.safetensors")
    facts = {"peft_type": "PROMPT_TUNING", "task_type": "SEQ_CLS", "num_virtual_tokens": 5}
    (folder / "adapter_config.json").write_text(json.dumps(facts | config))
    return folder


def test_what_came_with_a_prompt_and_is_no_part_of_it_is_said(probe, tmp_path, check_schema):
    _adapter(_adapter(tmp_path / "sentiment") / "second")
    result = probe("inspect", tmp_path / "sentiment", "--json")
    check_schema("inspect", result.json)
    (row,) = result.json["prompts"]
    head, other = row["left_out"]
    assert head == {
        "name": "base_model.score.weight",
        "shape": [2, 16],
        "why": "a trained head",
        "changes_answers": True,
    }
    assert (other["name"], other["shape"], other["changes_answers"]) == ("second/", None, False)
    shown = probe("inspect", tmp_path / "sentiment").out
    assert "2 left out" in shown
    line = "sentiment left out base_model.score.weight [2 × 16], a trained head: the prompt alone"
    assert line in shown and "sentiment left out second/, another adapter" in shown


def test_a_plain_prompt_leaves_nothing_out(probe, tmp_path):
    np.save(tmp_path / "mine.npy", _rows())
    (row,) = probe("inspect", "mine.npy", "--json").json["prompts"]
    assert (row["left_out"], row["notes"]) == ([], [])
    assert "left out" not in probe("inspect", "mine.npy").out


def test_a_contradiction_about_the_base_model_is_said(probe, tmp_path, check_schema):
    assert probe("convert", "sst2-text", tmp_path / "out", "--to", "peft").code == 0
    path = tmp_path / "out" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "gpt2"}))
    result = probe("inspect", tmp_path / "out", "--json")
    check_schema("inspect", result.json)
    (row,) = result.json["prompts"]
    assert row["base_model"] == "gpt2"
    (note,) = row["notes"]
    assert "'gpt2'" in note and "'builtin'" in note
    assert result.err == f"probe: {note}\n"


@pytest.mark.parametrize("command", ["inspect", "decode"])
def test_a_prompt_of_the_workspace_is_read_in_silence(probe, tmp_path, command):
    inside = {"template": "{text} {prompt:5}"}  # where PEFT cannot put it
    rows = SoftPrompt("deep", _rows(0, (5, 320)), base_model="builtin", config=inside)
    save(rows, tmp_path / "deep.safetensors", to="safetensors")
    assert probe("library", "add", "deep.safetensors").code == 0
    assert [path.name for path in (tmp_path / "home" / "prompts").glob("*/*.safetensors")] == [
        "prompt.safetensors"
    ]
    result = probe(command, "deep", "--json")
    assert (result.code, result.err) == (0, "")


@pytest.mark.skipif(not SHARED.exists(), reason="real prompt files are not here")
def test_real_files_of_many_tools_are_all_read(probe, check_schema):
    result = probe("inspect", *sorted(p for p in SHARED.iterdir() if p.is_dir()), "--json")
    check_schema("inspect", result.json)
    assert result.code == 0
    iotest = probe("inspect", SHARED / "mkultra-json-gpt2" / "iotest.json", "--json").json
    assert [(row["shape"], row["format"]) for row in iotest["prompts"]] == [([2, 768], "mkultra")]
    assert iotest["prompts"][0] in result.json["prompts"]
    digests = {
        row["submodule"]: row["norms"]
        for row in result.json["prompts"]
        if row["submodule"] and len(row["shape"]) == 2
    }
    assert digests["encoder"] != digests["decoder"]
