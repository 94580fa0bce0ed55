"""Studies as processes of their own: started, cancelled, killed, and found again."""

from __future__ import annotations

import dataclasses
import os
import signal
import time

import pandas as pd
import pytest

from probe import verbs
from probe.errors import TrainingError
from probe.store import Status, Workspace
from probe.studies import cancel_study, start_study, study_of, study_view, study_views
from probe.verbs.wayward_report import keep_wayward, wayward_found
from tests.waiting import until

WORKER = "probe.verbs.study_worker"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def _config(model, task, steps=4, seeds=1, **more):
    return verbs.wayward_config(
        [model], [task], ["text:soup it", "text:the film was"], gammas=[20], seeds=seeds,
        inits=["vocab"], training={"steps": steps, "batch_size": 4}, device="cpu",
        test_examples=10, **more,
    )  # fmt: skip


def test_settings_come_back_from_their_folder(model, task):
    config = _config(model, task)
    study, shared = study_of(config.settings)
    assert verbs.wayward_asked(config).config.id == config.id
    assert [target.text for target in study.targets] == ["soup it", "the film was"]
    assert (study.gammas, study.inits, shared.test_examples) == ((0.0, 20.0), ("vocab",), 10)


def test_settings_of_another_kind_are_one_clear_line():
    with pytest.raises(TrainingError, match="settings cannot be read"):
        study_of({"models": ["builtin"]})


@pytest.mark.process
def test_a_started_study_finishes_by_itself_as_the_command_would(workspace, model, task):
    config = _config(model, task)
    study = start_study(workspace, config, WORKER)
    assert os.getpgid(study.status.pid) != os.getpgid(0)
    with pytest.raises(TrainingError, match="is running: cancel it first"):
        start_study(workspace, config, WORKER)
    until(lambda: not study_view(study).active)
    (seen,) = study_views(workspace, "wayward")
    assert (seen.state, seen.done, seen.runs) == ("finished", 4, 4), study.log.read_text()
    assert study_views(workspace, "sweep") == []
    found = wayward_found(study)
    here = verbs.study_run(verbs.wayward_asked(config), workspace=Workspace(study.path / "own"))
    drop = ["prompt"]
    pd.testing.assert_frame_equal(
        found.runs_frame().drop(columns=drop), here.found.runs_frame().drop(columns=drop)
    )
    assert "at γ = 0 F1 was" in study.figures.read_text()
    assert start_study(workspace, config, WORKER).status.state == "finished"


@pytest.mark.process
def test_a_cancelled_study_keeps_its_packs_and_goes_on_and_so_does_a_killed_one(
    workspace, model, task
):
    config = _config(model, task, steps=400, seeds=4)  # 16 runs in 2 packs
    study = start_study(workspace, config, WORKER)
    until(lambda: study_view(study).done)
    cancel_study(workspace, study.id)
    seen = study_view(study)
    assert seen.state == "cancelled" and seen.resumable and seen.done == 8
    assert len(wayward_found(study).runs) == seen.done
    with pytest.raises(TrainingError, match="nothing to cancel"):
        cancel_study(workspace, study.id)
    cancelled_pid = study.status.pid
    start_study(workspace, config, WORKER)
    until(lambda: study.status.pid != cancelled_pid and study_view(study).step)
    os.kill(study.status.pid, signal.SIGKILL)
    until(lambda: study_view(study).state == "interrupted")
    verbs.study_run(verbs.wayward_asked(config), workspace=workspace)
    seen = study_view(study)
    assert (seen.state, seen.done, seen.found) == ("finished", 16, 8)


@pytest.mark.process
def test_a_study_that_cannot_be_done_says_why_in_its_folder(workspace, model, task, tmp_path):
    config = _config(model, task)
    missing = config.settings | {"models": [str(tmp_path / "nowhere")]}
    study = start_study(workspace, dataclasses.replace(config, settings=missing), WORKER)
    until(lambda: not study_view(study).active)
    assert study_view(study).state == "failed"
    assert "nowhere" in study_view(study).message


def test_a_worker_that_never_began_is_interrupted_after_a_while(workspace, model, task):
    study = workspace.studies.open(_config(model, task), Status("queued", time.time()))
    assert study_view(study).state == "queued"
    study.write(Status("queued", time.time() - 3600))
    assert study_view(study).state == "interrupted"


def test_a_prompt_of_a_study_enters_the_library_once(workspace, model, task):
    result = verbs.study_run(verbs.wayward_asked(_config(model, task)), workspace=workspace)
    (study,) = workspace.studies
    run = next(run for run in result.found.runs if run.gamma)
    name = keep_wayward(study, run, workspace=workspace)
    assert keep_wayward(study, run, workspace=workspace) == name
    (card,) = workspace.list("wayward")
    assert card.id == name and f"“{run.target}” at γ = 20" in card.note
