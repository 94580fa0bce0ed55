"""A workspace made by the code of commit dde9a1a opens, goes on, and keeps what it had found."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from probe import jobs, verbs
from probe.store import Workspace, read_records
from probe.verbs.waywardness import wayward_found

ARCHIVE = Path(__file__).parent / "data" / "workspace_dde9a1a.tar.gz"
DONE, HALF = "done-20261126-092345", "half-20261126-092405"
WAYWARD, SWEEP = "wayward-builtin-mood-92fd2c6e", "sweep-grid-mood-1084d5dc"
FEW = {"steps": 4, "batch_size": 2}


@pytest.fixture
def workspace(tmp_path):
    shutil.unpack_archive(ARCHIVE, tmp_path / "home", filter="data")
    return Workspace(tmp_path / "home")


def test_its_library_opens(workspace):
    cards = {card.id: card for card in workspace.list()}
    assert set(cards) == {"done@1", "twice@1", "twice@2"}
    assert cards["twice@2"].note == "a note" and cards["twice@2"].tags == ("old",)
    (done,) = verbs.load("done@1", workspace=workspace)
    assert done.embeddings.shape == (2, 320)
    assert done.metrics["accuracy"] == 0.8 and done.config["run"] == DONE


def test_its_runs_stand_as_they_stood(workspace):
    half, done = (one for one in verbs.runs(workspace) if one.kind == "train")
    assert (done.run, done.state, done.label, done.step) == (DONE, "finished", "the first", 6)
    assert done.prompts == ("done@1",) and done.metrics["zero_shot_accuracy"] == 0.7
    assert (half.run, half.state, half.step, half.steps) == (HALF, "cancelled", 8, 24)
    assert half.message == "stopped at step 8 of 24" and half.resumable
    assert (done.model, done.task, done.method) == ("builtin", "mood", "prompt_tuning")


@pytest.mark.process
def test_its_cancelled_run_goes_on_from_its_checkpoint(workspace):
    run = jobs.resume(workspace, HALF)
    for _ in jobs.follow(run):
        pass
    found = verbs.show_run(HALF, workspace=workspace)
    assert (found.state, found.step) == ("finished", 24), run.log.read_text()
    steps = [record["step"] for record in read_records(run.metrics)[0]]
    assert steps == list(range(1, 25)) and found.prompts == ("half@1",)


def test_its_run_that_was_killed_is_interrupted(workspace):
    run = workspace.runs.get(HALF)
    run.write(dataclasses.replace(run.status, state="running"))
    assert verbs.show_run(HALF, workspace=workspace).state == "interrupted"


def test_its_studies_stand_as_they_stood(workspace):
    (study,) = jobs.views(workspace, "wayward")
    assert (study.run, study.state, study.done, study.runs) == (WAYWARD, "finished", 4, 4)
    (sweep,) = jobs.views(workspace, "sweep")
    assert (sweep.run, sweep.state, sweep.done, sweep.found) == (SWEEP, "finished", 2, 1)
    found = wayward_found(workspace.studies.get(WAYWARD))
    assert len(found.runs) == 4 and {run.gamma for run in found.runs} == {0.0, 1.0}


@pytest.mark.slow
def test_results_that_its_studies_kept_are_found_again(workspace):
    summary = workspace.studies.get(WAYWARD).summary
    before = json.loads(summary.read_text())
    asked = workspace.studies.get(WAYWARD).config
    assert verbs.dry_run(asked, workspace=workspace).found == 4
    found = verbs.study_run(asked, workspace=workspace).to_json()
    assert found["study"] == WAYWARD and set(before) <= set(found)
    swept = verbs.sweep_config(
        {"training": FEW, "grid": {"length": [1, 2]}}, model=["builtin"], task=["mood"],
        validation_examples=10, test_examples=10, device="cpu", dtype="float32",
    )  # fmt: skip
    assert swept.id == SWEEP
    assert verbs.dry_run(swept, workspace=workspace).found == 2
