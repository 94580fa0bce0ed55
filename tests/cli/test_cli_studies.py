"""`probe wayward` and `probe sweep`: documents, tables, plans, and folders that can be watched."""

import json

import pandas as pd
import pytest

from probe.jobs import observe
from probe.jobs.run_queue import only_worker
from probe.store import Workspace
from tests.trainable import write_task

SHORT = ["--steps", "4", "--batch-size", "4", "--seeds", "2", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, home, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "own"))  # whose cache no other test has filled
    write_task(tmp_path / "moods")
    (tmp_path / "mine.txt").write_text("the film was\nsoup it\n")
    (tmp_path / "defs.toml").write_text(
        '[moods]\ntrue = "the day was sweet"\ncontradictory = "the day was sour"\n'
    )


def _wayward(probe, model, *more):
    return probe(
        "wayward", "--model", model, "--task", "moods", "--targets", "mine.txt", "--targets",
        "defs.toml", "--gamma", "0.5,20", *SHORT, *more,
    )  # fmt: skip


@pytest.mark.slow
def test_a_study_prints_its_document_and_leaves_a_folder(probe, model, tmp_path, check_schema):
    asked = ["--out", tmp_path / "copy"]
    plan = _wayward(probe, model, "--dry-run", "--json").json
    check_schema("study_plan", plan)
    # 4 targets × 2 starts × 3 γ × 2 seeds; two baselines of four tokens from vocab are one.
    assert (plan["runs"], plan["trainings"], plan["found"]) == (48, 46, 0)
    done = _wayward(probe, model, "--json", *asked)
    check_schema("wayward", done.json)
    assert done.code == 0 and "of 46 runs" in done.err
    document = done.json
    rows = {(row["init"], row["kind"]): row for row in document["table"]}
    assert rows["vocab", "all"]["targets"] == 4 and rows["target", "true"]["seeds"] == 2
    assert {choice["gamma"] for choice in document["choices"]} <= {0.5, 20.0}
    frame = pd.read_parquet(document["results"])
    assert len(frame) == 48 and set(frame["init"]) == {"vocab", "target"}
    at_target = frame[(frame["init"] == "target") & (frame["gamma"] == 20)]
    assert (at_target["f1"] == 1).all() and (at_target["token_match"] == 1).all()
    decoded = probe("decode", frame["prompt"][0], "--no-controls", "--metric", "l2", "--json").json
    assert decoded["text"] == frame["decoded"][0]
    assert (tmp_path / "copy" / "figures.html").is_file()
    assert json.loads((tmp_path / "copy" / "summary.json").read_text()) == document
    (study,) = Workspace().studies
    assert study.id == document["study"] and observe(study)[1] == "finished"
    assert study.status.step == study.status.metrics["runs"] == 46


@pytest.mark.slow
def test_the_same_study_again_is_a_table_at_once_and_more_targets_train_only_those(probe, model):
    first = _wayward(probe, model, "--target-count", 1)
    again = _wayward(probe, model, "--target-count", 1)
    assert again.out == first.out and "found" in again.err
    assert "F1 at γ = 0" in again.out and "soup it" in again.out
    assert "moods" in again.flat and "contradictory" in again.flat
    more = _wayward(probe, model, "--dry-run", "--json").json
    assert 0 < more["found"] < more["trainings"]


@pytest.mark.slow
def test_another_process_at_the_same_study_is_refused(probe, model):
    _wayward(probe, model, "--target-count", 1)
    (study,) = Workspace().studies
    with only_worker(study):
        refused = _wayward(probe, model, "--target-count", 1)
    assert refused.code == 1 and "another process is at" in refused.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--targets", "nowhere.txt"], "targets nowhere.txt: expected one of"),
        (["--init", "prompts"], "init must be one of"),
        (["--gamma", "0,much"], "expected numbers with commas"),
        (["--gamma", "-1"], "gamma must be a number"),
        (["--gamma", "0"], "needs a γ above 0"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_trained(options, words, probe, model):
    given = ["--model", model, "--task", "moods", "--targets", "mine.txt", *SHORT]
    refused = probe("wayward", *given, *options)
    assert refused.code in (1, 2) and words in refused.err
    assert list(Workspace().studies) == []


def test_a_grid_that_starts_at_rows_of_another_width_is_refused_before_a_model_is_loaded(
    probe, tmp_path
):
    (tmp_path / "grid.toml").write_text('[grid]\ninit = ["vocab", "prompt:minilm-sst2-text"]\n')
    refused = probe("sweep", "grid.toml", "--task", "mood", "--model", "builtin")
    assert refused.code == 1 and "builtin reads rows of width 320" in refused.err
    assert list(Workspace().studies) == []


GRID = """
seeds = 2
[training]
steps = 4
batch_size = 4
[grid]
length = [2, 3]
method = ["prompt_tuning", "prefix_tuning"]
"""


def test_a_grid_file_ends_in_a_table_and_a_front(probe, model, tmp_path, check_schema):
    (tmp_path / "grid.toml").write_text(GRID + "gamma = [0.0]\n")
    given = ["grid.toml", "--task", "moods", "--model", model, "--device", "cpu"]
    plan = probe("sweep", *given, "--dry-run")
    assert "prefix_tuning" in plan.flat and plan.code == 0
    done = probe("sweep", *given, "--json")
    check_schema("sweep", done.json)
    settings = done.json["settings"]
    assert [one["runs"] for one in settings] == [2] * 4 and done.json["cost"] == "length"
    assert any(one["worth"] for one in settings) and settings[0]["varied"] == {"gamma": 0.0}
    assert len(pd.read_parquet(done.json["results"])) == 8
    shown = probe("sweep", *given)
    assert "prefix_tuning" in shown.out and "test accuracy" in shown.flat
    write_task(tmp_path / "renamed")  # of the same content, so that all runs are found
    given[2] = "renamed"
    renamed = probe("sweep", *given, "--json").json
    assert set(pd.read_parquet(renamed["results"])["task"]) == {"renamed"}


def test_the_named_studies_answer_their_questions(probe, model, check_schema):
    given = ["--task", "moods", "--model", model, "--length", "2,20,22", "--seeds", 1, "--steps", 3]
    longer = probe("sweep", "length", *given, "--json").json
    check_schema("sweep", longer)
    (answer,) = longer["answers"]
    assert (answer["question"], answer["length"], answer["runs"]) == ("length", 22, 1)
    assert "tokens are enough for 95 %" in probe("sweep", "size", *given).flat


@pytest.mark.parametrize("length", ["2.5", "nan", "1e400", "2,x", ""])
def test_a_length_that_is_no_whole_number_is_wrong_usage(length, probe, model):
    refused = probe("sweep", "length", "--task", "moods", "--model", model, "--length", length)
    assert refused.code == 2 and "'--length': expected whole numbers with commas" in refused.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lengths = [1]", "expected the keys models, tasks"),
        ('models = "builtin"', "models cannot be 'builtin'"),
        ("[grid]\nlength = []", "grid cannot be"),
        ("[grid]\nlenght = [1]", "did you mean length?"),
        (
            "[grid]\nsteps = [1]\n[training]\nsteps = 2",
            "steps stands under training and",
        ),
        ("grid", "expected TOML"),
    ],
)
def test_a_grid_that_is_none_is_one_clear_line(text, words, probe, model, tmp_path):
    (tmp_path / "grid.toml").write_text(text)
    refused = probe("sweep", "grid.toml", "--task", "moods", "--model", model)
    assert refused.code == 1 and words in refused.err and refused.err.count("\n") == 1
