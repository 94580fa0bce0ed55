from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.library.table import library_table
from dashboard.shared.resources import Entry
from probe import paths
from probe.prompt import SoftPrompt
from probe.store import Workspace, sample_facts, sample_folders
from probe.tables import default_model
from probe.verbs.decoding import decode
from probe.verbs.finding import find

Open = Callable[..., AppTest]


def _npy(rows: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


def _upload(at: AppTest, *files: tuple[str, bytes]) -> AppTest:
    at.file_uploader[0].set_value(
        [(name, data, "application/octet-stream") for name, data in files]
    )
    return at.run()


def _button(at: AppTest, label: str) -> object:
    return next(button for button in at.button if label in button.label)


def _prompt(name: str, positions: int = 3) -> SoftPrompt:
    rows = np.random.default_rng(0).standard_normal((positions, 8))
    return SoftPrompt(name, rows, task="greeting")


@pytest.mark.slow
def test_a_first_visit_lists_every_sample_and_says_so(open_page: Open) -> None:
    at = open_page()
    listed = list(at.dataframe[0].value["name"])
    assert sorted(listed) == list(sample_folders())
    on_default = [sample_facts()[name]["base_model"] == default_model() for name in listed]
    assert on_default == sorted(on_default, reverse=True)
    tasks = {facts["task"] for facts in sample_facts().values()}
    said = f"{len(sample_folders())} sample prompts for {len(tasks)} tasks"
    assert at.markdown[0].value.startswith(said)


@pytest.mark.slow
def test_samples_carry_their_scores_and_how_near_they_lie(open_page: Open) -> None:
    table = open_page().dataframe[0].value.set_index("name")
    metrics = sample_facts()["agnews-vocab"]["metrics"]
    assert table.loc["agnews-vocab", "score"] == metrics["accuracy"]
    assert table.loc["agnews-vocab", "zero_shot"] == metrics["zero_shot_accuracy"]
    for name in ("agnews-vocab", "minilm-sst2-ptuning"):
        alone = decode(name, metric="cosine", k=1, controls=False)
        best = [position.neighbours[0].score for position in alone.positions]
        assert table.loc[name, "closeness"] == pytest.approx(np.median(best), abs=1e-6)
    assert np.isnan(table.loc["subj-prefix", "closeness"])
    distilled = sample_facts()["smollm2-distilled-french"]["metrics"]
    assert table.loc["smollm2-distilled-french", "score"] == distilled["share_explained"]


def test_own_prompts_come_first_and_are_counted(open_page: Open, workspace: Workspace) -> None:
    workspace.save(_prompt("mine"))
    at = open_page()
    assert at.dataframe[0].value["name"].iloc[0] == "mine@1"
    samples = len(sample_folders())
    said = at.markdown[0].value
    assert said.startswith(f"{samples + 1} prompts for ")
    assert said.endswith(f" tasks: 1 of your own and {samples} samples.")


def test_search_looks_into_names_tasks_and_methods(open_page: Open) -> None:
    at = open_page()
    at.text_input(key="find").set_value("SST2 p_tuning").run()
    assert any(c.value.startswith(f"{len(at.dataframe[0].value)} shown.") for c in at.caption)
    found = set(at.dataframe[0].value["name"])
    assert found == {"minilm-sst2-ptuning", "smollm2-sst2-ptuning"}


def test_a_search_without_a_hit_says_what_to_do(open_page: Open) -> None:
    at = open_page(find="nothing like it")
    assert "shorten the search" in at.info[0].value
    assert not at.dataframe


@pytest.mark.slow
def test_a_search_for_a_token_lists_the_positions_nearest_to_it(open_page: Open) -> None:
    at = open_page(find="Paris")
    expected = [(one.prompt, one.position) for one in find("Paris").matches]
    table = at.dataframe[0].value
    assert list(zip(table["prompt"], table["position"], strict=True)) == expected
    assert any(f"Paris** of {default_model()}, by cosine" in one.value for one in at.markdown)


def test_the_tag_filter_keeps_prompts_with_every_tag(open_page: Open, workspace: Workspace) -> None:
    workspace.save(_prompt("one"), tags=["good"])
    workspace.save(_prompt("two"), tags=["good", "long"])
    at = open_page(tag=["good", "long"])
    assert list(at.dataframe[0].value["name"]) == ["two@1"]
    at.text_input(key="find").set_value("one").run()
    assert "drop a tag" in at.info[0].value and not at.dataframe


def test_an_uploaded_file_is_shown_then_kept_and_chosen(
    open_page: Open, workspace: Workspace
) -> None:
    rows = np.random.default_rng(1).standard_normal((4, 320)).astype(np.float32)
    at = _upload(open_page(), ("greeting.npy", _npy(rows)))
    assert at.dataframe[0].value["shape"].iloc[0] == "4 × 320"
    assert workspace.list() == []
    assert any("Models of that width: builtin" in one.value for one in at.caption)
    at.text_input(key="upload_model").set_value("builtin").run()
    _button(at, "Add 1 prompt").click().run()
    assert not at.error
    (card,) = workspace.list()
    assert (card.id, card.base_model) == ("greeting@1", "builtin")
    np.testing.assert_array_equal(workspace.get("greeting").embeddings, rows)
    assert at.session_state["p"] == ["greeting@1"]
    assert "Added greeting" in at.success[0].value


def test_files_of_one_name_are_refused(open_page: Open) -> None:
    rows = _npy(np.ones((2, 8), np.float32))
    at = _upload(open_page(), ("a/soft.npy", rows), ("b/soft.npy", rows))
    assert "found 'soft\\.npy' twice" in at.error[0].value
    assert not [button for button in at.button if button.label.startswith("Add")]


def test_nothing_of_the_temporary_folder_is_kept(open_page: Open, workspace: Workspace) -> None:
    at = _upload(open_page(), ("greeting.npy", _npy(np.ones((2, 8), np.float32))))
    _button(at, "Add 1 prompt").click().run()
    assert workspace.list()[0].origin == "upload of greeting.npy"


def test_the_files_of_an_adapter_are_read_together(open_page: Open, workspace: Workspace) -> None:
    folder = sample_folders()["sst2-text"]
    files = [(path.name, path.read_bytes()) for path in folder.iterdir()]
    at = _upload(open_page(), *files)
    assert at.dataframe[0].value["method"].iloc[0] == "prompt tuning"
    _button(at, "Add 1 prompt").click().run()
    assert workspace.list()[0].base_model == "builtin"


def test_a_file_of_several_prompts_adds_them_all(open_page: Open, workspace: Workspace) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, first=np.ones((2, 8), np.float32), second=np.ones((3, 8), np.float32))
    at = _upload(open_page(), ("two.npz", buffer.getvalue()))
    _button(at, "Add 2 prompts").click().run()
    assert sorted(card.shape for card in workspace.list()) == [(2, 8), (3, 8)]


def test_rows_that_training_never_reached_are_left_out_and_named(
    open_page: Open, workspace: Workspace
) -> None:
    config = {
        "peft_type": "PROMPT_TUNING",
        "num_virtual_tokens": 2,
        "token_dim": 8,
        "num_transformer_submodules": 2,
        "base_model_name_or_path": "t5-small",
    }
    tensors = {"prompt_embeddings": np.arange(32, dtype=np.float32).reshape(4, 8)}
    at = _upload(
        open_page(),
        ("adapter_config.json", json.dumps(config).encode()),
        ("adapter_model.safetensors", safetensors.numpy.save(tensors)),
    )
    assert list(at.dataframe[0].value["trained"]) == [True, False]
    assert any("1 of 2 will be left out" in caption.value for caption in at.caption)
    _button(at, "Add 1 prompt").click().run()
    assert [card.submodule for card in workspace.list()] == ["encoder"]


@pytest.mark.parametrize(
    "data",
    [b"", b"not a prompt", b"\x93NUMPY\x01\x00", _npy(np.full((2, 4), np.nan, np.float32))],
    ids=["empty", "text", "cut short", "NaN"],
)
def test_a_bad_file_is_one_clear_line(open_page: Open, data: bytes) -> None:
    at = _upload(open_page(), ("bad.npy", data))
    assert len(at.error) == 1
    assert "\n" not in at.error[0].value
    assert "bad\\.npy" in at.error[0].value
    assert not [button for button in at.button if button.label.startswith("Add")]


def test_a_file_name_no_file_system_takes_is_cut(open_page: Open) -> None:
    at = _upload(open_page(), ("x" * 300 + ".npy", _npy(np.ones((3, 8)))))
    assert not at.error
    assert at.dataframe[-1].value is not None


def test_file_names_cannot_leave_the_temporary_folder(open_page: Open, tmp_path: Path) -> None:
    rows = _npy(np.ones((2, 8), np.float32))
    at = _upload(open_page(), ("../../../escaped.npy", rows))
    assert at.dataframe[0].value["name"].iloc[0] == "escaped"
    assert not list(tmp_path.rglob("escaped.npy"))


def test_an_empty_library_says_what_to_do(
    open_page: Open, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "probe")  # installed without samples
    st.cache_resource.clear()
    try:
        at = open_page()
        assert at.subheader[0].value == "No prompts yet"
        assert at.file_uploader
        assert open_page("decode").info[0].value.startswith("No prompt is chosen")
        workspace.save(dataclasses.replace(_prompt("far"), base_model="nobody/model"))
        at = open_page("start")
        assert any("add a file of your own" in one.value for one in at.markdown)
        assert not at.error
    finally:
        st.cache_resource.clear()


def test_a_gain_is_over_the_same_metric_of_the_model_alone(workspace: Workspace) -> None:
    metrics = {"metric": "macro_f1", "macro_f1": 0.7, "accuracy": 0.8, "zero_shot_accuracy": 0.5}
    for name, more in (("known", {"zero_shot_macro_f1": 0.0}), ("unknown", {})):
        workspace.save(dataclasses.replace(_prompt(name), metrics=metrics | more))
    cards = [workspace.card(name) for name in ("known", "unknown")]
    table = library_table([Entry(card.id, card, "yours") for card in cards])
    assert table["gain"].iloc[0] == 0.7 and np.isnan(table["gain"].iloc[1])


def test_a_large_library_does_not_wait_for_comparisons(workspace: Workspace) -> None:
    card = workspace.save(_prompt("mine"))
    many = [Entry(card.id, card, "yours")] * 1000
    table = library_table(many)
    assert len(table) == 1000
    assert table["closeness"].isna().all()


def test_of_several_files_each_that_is_left_out_has_a_line_with_the_reason(
    open_page: Open,
) -> None:
    rows = np.random.default_rng(0).standard_normal((2, 320)).astype(np.float32)
    at = _upload(
        open_page(), ("good.npy", _npy(rows)), ("notes.txt", b"nothing here"), ("bad.json", b"{")
    )
    for name in ("notes", "bad"):
        assert any(name in w.value and "is left out" in w.value for w in at.warning)
    assert any(b.label == "Add 1 prompt to the library" for b in at.button)


def test_a_table_and_rows_of_zeros_are_remarked_on(open_page: Open) -> None:
    at = _upload(open_page(), ("table.npy", _npy(np.zeros((2001, 320), np.float32))))
    said = [w.value.replace("\\", "") for w in at.warning]
    assert any("is it a table of embeddings?" in one for one in said)
    assert any("2,001 rows of 2,001 are zero" in one for one in said)
