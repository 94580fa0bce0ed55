"""`probe library`, `find` and `convert`: what is kept, where a token occurs, other layouts."""

import io
import json
import shutil

import numpy as np
import pytest

from probe.formats import load
from probe.prompt import SoftPrompt
from probe.store import EvaluationRecord, Workspace, sample_folders
from probe.tables import default_model, load_vocabulary, named_path


@pytest.fixture
def stored(probe, tmp_path):
    """One prompt in the workspace, in two versions."""
    rows = load_vocabulary("builtin").rows([778, 300, 4000])
    np.save(tmp_path / "mood.npy", rows)
    for _ in range(2):
        added = probe("library", "add", "mood.npy", "--tag", "film", "--model", "builtin")
        assert added.code == 0
    return rows


# library


def test_the_list_shows_the_workspace_then_the_samples(stored, probe, check_schema, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    result = probe("library", "--json")
    check_schema("library", result.json)
    ids = [(row["id"], row["where"]) for row in result.json["prompts"]]
    samples = [(name, "sample") for name in sample_folders()]
    assert ids == [("mood@1", "workspace"), ("mood@2", "workspace"), *samples]
    sample = next(row for row in result.json["prompts"] if row["id"] == "sst2-text")
    assert sample["task"] == "sst2" and 0 < sample["metrics"]["accuracy"] < 1
    for word in ("mood@2", "sample", "film", "3 × 320"):
        assert word in probe("library").flat


def test_adding_prints_what_was_kept_and_keeps_the_samples_exactly(probe, check_schema):
    result = probe("library", "add", "sst2-text", "subj-prefix", "--note", "mine", "--json")
    check_schema("library", result.json)
    assert [row["id"] for row in result.json["prompts"]] == ["sst2-text@1", "subj-prefix@1"]
    assert {row["note"] for row in result.json["prompts"]} == {"mine"}
    sample = load(sample_folders()["sst2-text"])[0]
    kept = probe("inspect", "sst2-text@1", "--json").json["prompts"][0]
    np.testing.assert_array_equal(np.float32(kept["norms"]), sample.norms.astype(np.float32))
    assert kept["base_model"] == "builtin"


def test_a_bad_source_keeps_nothing_of_the_others(probe, home):
    result = probe("library", "add", "sst2-text", "missing.npy")
    assert result.code == 1 and "missing.npy" in result.err
    assert not (home / "prompts").exists()


def test_what_is_kept_decodes_like_what_it_was_made_from(probe):
    sample = probe("decode", "sst2-text", "--json").json
    probe("library", "add", "sst2-text")
    kept = probe("decode", "sst2-text", "--json").json
    assert kept.pop("prompt") == "sst2-text@1" and sample.pop("prompt") == "sst2-text"
    assert kept == sample and kept["never_left_start"] is not None


def test_tags_notes_and_search(stored, probe, check_schema):
    assert probe("library", "tag", "mood@1", "old", "one", "--json").json["prompts"][0]["tags"] == [
        "film",
        "old",
        "one",
    ]
    assert probe("library", "untag", "mood@1", "one").code == 0
    assert probe("library", "note", "mood", "the newest of them").code == 0
    for command, found in [
        (("search", "NEWEST"), ["mood@2"]),
        (("search", "film", "old"), ["mood@1"]),
        (("search", "nobody has this"), []),
        (("search", "agnews-text"), ["minilm-agnews-text", "smollm2-agnews-text"]),
    ]:
        result = probe("library", *command, "--json")
        check_schema("library", result.json)
        assert [row["id"] for row in result.json["prompts"]] == found
    tagged = probe("library", "--tag", "old", "--json").json["prompts"]
    assert [row["id"] for row in tagged] == ["mood@1"]


@pytest.mark.parametrize(
    "command",
    [("tag", "sst2-text", "x"), ("untag", "sst2-text", "x"), ("note", "sst2-text", "x")]
    + [("remove", name, "--yes") for name in ("sst2-text", "sst2-text@1")],
)
def test_a_sample_is_not_changed_and_the_message_says_how_to_keep_a_copy(command, probe):
    refused = probe("library", *command)
    assert refused.code == 1 and "sst2-text is a sample, which is not changed" in refused.err
    assert "`probe library add sst2-text` keeps a copy" in refused.err


def test_the_log_of_a_sample_has_its_scores_in_words(probe):
    assert "accuracy 0.648, zero-shot accuracy 0.512" in probe("library", "log", "sst2-text").flat


def test_the_log_tells_every_version_and_its_source(stored, probe, check_schema):
    result = probe("library", "log", "mood", "--json")
    check_schema("library", result.json)
    assert [row["version"] for row in result.json["prompts"]] == [1, 2]
    assert {row["origin"] for row in result.json["prompts"]} == {"mood.npy"}
    shown = probe("library", "log", "mood").flat
    assert "mood@2 · unknown, 3 × 320" in shown and "read from mood.npy (npy)" in shown


def test_the_log_of_a_sample_says_that_it_has_no_history(probe, check_schema):
    row = probe("library", "log", "mood-text", "--json").json
    check_schema("library", row)
    (told,) = row["prompts"]
    assert (told["where"], told["evaluations"]) == ("sample", [])
    shown = probe("library", "log", "mood-text").flat
    assert "mood-text · prompt tuning" in shown and "a sample, which has no history" in shown
    assert probe("library", "log", "mood-text@2").code == 1


def test_the_log_of_a_trained_prompt_names_its_run_its_digest_and_what_was_recorded(
    probe, check_schema, home
):
    workspace = Workspace(home)
    training = {"run": "mood-run", "training": {"method": "pez"}}
    metrics = {"metric": "accuracy", "split": "test", "accuracy": 0.51666, "examples": 60}
    rows = np.ones((2, 320), np.float32)
    workspace.save(SoftPrompt("made", rows, config=training, metrics=metrics))
    record = EvaluationRecord(
        recorded="2026-01-02T03:04:05+00:00", task="mood", split="test", n=9, examples="0" * 64,
        model="builtin", template="{text}", label_words=("bad", "good"), metric="accuracy",
        value=0.86833, interval=(0.8, 0.9), measures={"accuracy": 0.86833},
    )  # fmt: skip
    workspace.record("made", record)
    result = probe("library", "log", "made", "--json")
    check_schema("library", result.json)
    (row,) = result.json["prompts"]
    assert (row["method"], row["run"]) == ("pez", "mood-run")
    assert row["evaluations"][0]["value"] == 0.86833 and len(row["stored_sha256"]) == 64
    shown = probe("library", "log", "made").flat
    for words in (
        "made@1 · PEZ, 2 × 320",
        "trained by run mood-run",
        row["stored_sha256"][:12],
        "test accuracy 0.517 on 60 examples",
        "evaluated 2026-01-02 03:04: mood test accuracy 0.868 [0.800, 0.900] on 9 examples",
    ):
        assert words in shown
    assert "PEZ" in probe("library").flat


def test_removal_asks_first_and_names_the_version(stored, probe, monkeypatch):
    result = probe("library", "remove", "mood", "--yes")
    assert result.code == 1 and "2 versions: name one of mood@1, mood@2" in result.err
    monkeypatch.setattr("sys.stdin", io.StringIO(""))  # nobody answers
    assert probe("library", "remove", "mood@1").code == 1
    assert len(probe("library", "log", "mood", "--json").json["prompts"]) == 2
    assert (
        probe("library", "remove", "mood@1", "--yes", "--json").json["prompts"][0]["version"] == 1
    )
    rows = probe("library", "log", "mood", "--json").json["prompts"]
    assert [row["id"] for row in rows] == ["mood@2"]


# find


def _samples_on(model):
    """The sample prompts on a model that have rows, by name."""
    prompts = {name: load(folder)[0] for name, folder in sample_folders().items()}
    return {
        name: prompt
        for name, prompt in prompts.items()
        if isinstance(prompt, SoftPrompt) and prompt.base_model == model
    }


def test_a_token_is_found_where_a_prompt_holds_it(stored, probe, check_schema):
    result = probe("find", "␣great", "--model", "builtin", "--json", "-k", "3")
    check_schema("find", result.json)
    assert (result.json["token"], result.json["id"]) == ("␣great", 778)
    first, second = result.json["matches"][:2]
    assert {(m["prompt"], m["position"]) for m in (first, second)} == {("mood@1", 0), ("mood@2", 0)}
    assert first["score"] == pytest.approx(1) and result.json["higher_is_better"]
    assert result.json["prompts"] == len(_samples_on("builtin")) + 2
    assert "mood@1" in probe("find", "␣great", "--model", "builtin").flat


def test_the_closest_positions_are_those_of_a_brute_force_search(probe):
    vocabulary = load_vocabulary("builtin")
    row = vocabulary.rows([778])[0].astype(np.float64)
    distances = {
        (name, position): float(np.linalg.norm(row - rows.astype(np.float64)))
        for name, prompt in _samples_on("builtin").items()
        for position, rows in enumerate(prompt.embeddings)
    }
    best = sorted(distances, key=distances.__getitem__)[:7]
    found = probe("find", "#778", "--model", "builtin", "--metric", "l2", "-k", "7", "--json").json
    assert [(m["prompt"], m["position"]) for m in found["matches"]] == best
    assert not found["higher_is_better"]


def test_a_real_space_will_do_and_prompts_can_be_named(stored, probe):
    found = probe("find", " great", "mood.npy", "--model", "builtin", "--json").json
    assert (found["token"], found["prompts"], found["positions"]) == ("␣great", 1, 3)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("unquestionably remarkable", "to be"),
        ("#99999999", "there is no row 99999999"),
        ("", "type a token as"),
    ],
)
def test_what_is_not_one_token_is_refused(token, message, probe):
    result = probe("find", token, "--model", "builtin")
    assert result.code == 1 and message in result.err and result.err.count("\n") == 1


def test_several_pieces_are_listed_so_that_one_can_be_named(probe):
    vocabulary = load_vocabulary("builtin")
    pieces = vocabulary.encode(" great terrible")
    assert len(pieces) == 2
    err = probe("find", "␣great␣terrible", "--model", "builtin").err
    for piece in pieces:
        assert f"{vocabulary.tokens[piece]} (#{piece})" in err


def test_a_prefix_cannot_be_searched_for_tokens(probe):
    result = probe("find", "␣great", "subj-prefix")
    assert result.code == 1 and "key/value prefix" in result.err


def test_without_a_model_the_one_that_commands_take_is_searched_or_that_of_the_prompts(probe):
    assert probe("find", "#778", "--json").json["model"] == default_model()
    assert probe("find", "␣great", "mood-text", "--json").json["model"] == "builtin"
    refused = probe("find", "#778", "mood-text", "smollm2-distilled-french")
    assert refused.code == 1 and "mood-text was trained on builtin, " in refused.err


def test_a_model_without_prompts_in_the_library_finds_nothing(probe, check_schema, tmp_path):
    shutil.copytree(named_path("builtin"), tmp_path / "another")
    result = probe("find", "␣great", "--model", "./another", "--json")
    check_schema("find", result.json)
    assert (result.code, result.json["matches"], result.json["prompts"]) == (0, [], 0)
    assert "no prompt on this model" in probe("find", "␣great", "--model", "./another").flat


# convert


@pytest.mark.parametrize("layout", ["peft", "npy", "safetensors", "koboldai"])
def test_what_is_written_reads_back_as_the_same_rows(layout, probe, tmp_path, check_schema):
    result = probe("convert", "sst2-text", "deep/out", "--to", layout, "--json")
    check_schema("convert", result.json)
    assert (result.code, result.err) == (0, "")
    assert result.json["shape"] == [20, 320]
    (back,) = load(result.json["path"])
    (sample,) = load(sample_folders()["sst2-text"])
    np.testing.assert_allclose(back.embeddings, sample.embeddings, rtol=0, atol=0)


def test_people_are_told_what_was_written(probe):
    assert (
        "wrote sst2-text (20 × 320) to out.npy as npy"
        in probe("convert", "sst2-text", "out.npy", "--to", "npy").flat
    )


def test_nothing_is_overwritten(probe, tmp_path):
    (tmp_path / "out.npy").write_text("precious")
    result = probe("convert", "sst2-text", "out.npy", "--to", "npy")
    assert result.code == 1 and "out.npy" in result.err
    assert (tmp_path / "out.npy").read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "out.npy"]


def test_a_layout_that_cannot_hold_the_prompt_is_refused_and_leaves_nothing(probe, tmp_path):
    result = probe("convert", "subj-prefix", "out.npy", "--to", "npy")
    assert result.code == 1 and "npy" in result.err and result.out == ""
    assert not (tmp_path / "out.npy").exists()


def test_json_of_every_command_is_ascii_so_that_nothing_in_it_can_act(probe):
    for arguments in (("decode", "sst2-text"), ("find", "␣great"), ("library",)):
        out = probe(*arguments, "--json").out
        assert out.isascii() and json.loads(out)


def test_a_damaged_prompt_is_named_and_can_be_removed(probe, home):
    probe("library", "add", "sst2-text", "trec-text")
    (home / "prompts" / "sst2-text@1" / "card.json").write_text("{")
    (home / "library.sqlite").unlink()
    listed = probe("library", "--json")
    assert [row["id"] for row in listed.json["prompts"]][0] == "trec-text@1"
    assert "sst2-text@1" in listed.err and "probe library remove" in listed.err
    removed = probe("library", "remove", "sst2-text@1", "--yes", "--json")
    assert (removed.code, removed.json) == (0, {"prompts": []})
    (home / "prompts" / "trec-text@1" / "card.json").write_text("{")
    removed = probe("library", "remove", "trec-text@1", "--yes")
    assert (removed.code, removed.out) == (0, "") and "which was damaged" in removed.err
    assert probe("library").err == "" and not (home / "prompts" / "sst2-text@1").exists()


def test_a_flipped_bit_in_a_stored_prompt_is_refused_in_one_line(probe, home):
    probe("library", "add", "sst2-text")
    vectors = home / "prompts" / "sst2-text@1" / "adapter_model.safetensors"
    data = bytearray(vectors.read_bytes())
    data[-7] ^= 16
    vectors.write_bytes(data)
    refused = probe("decode", "sst2-text@1")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "is not what was stored" in refused.err
