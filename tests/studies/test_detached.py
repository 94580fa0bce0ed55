"""Studies as processes of their own: started, cancelled, killed, and found again."""

from __future__ import annotations

import dataclasses
import os
import signal
import time

import pandas as pd
import pytest

from probe import jobs, verbs
from probe.errors import TrainingError
from probe.jobs.processes import process_start_time
from probe.store import Status, Workspace
from probe.studies.wayward import study_of
from probe.verbs.waywardness import keep_wayward, wayward_found
from tests.waiting import until


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def _config(model, task, steps=4, seeds=1, **more):
    return verbs.wayward_config(
        [model], [task], ["text:soup it", "text:the film was"], gamma=[20], seeds=seeds,
        init=["vocab"], training={"steps": steps, "batch_size": 4}, device="cpu",
        test_examples=10, **more,
    )  # fmt: skip


def test_settings_come_back_from_their_folder(model, task):
    config = _config(model, task)
    study, shared = study_of(config.request)
    assert config.id == dataclasses.replace(config, created="").id
    assert [target.text for target in study.targets] == ["soup it", "the film was"]
    assert (study.gammas, study.inits, shared.test_examples) == ((0.0, 20.0), ("vocab",), 10)


def test_settings_of_another_kind_are_one_clear_line():
    with pytest.raises(TrainingError, match="settings cannot be read"):
        study_of({"models": ["builtin"]})


@pytest.mark.process
def test_a_started_study_finishes_by_itself_as_the_command_would(workspace, model, task):
    config = _config(model, task)
    study = jobs.start(workspace, config)
    assert os.getpgid(study.status.pid) != os.getpgid(0)
    with pytest.raises(TrainingError, match="is (queued|running): cancel it first"):
        jobs.start(workspace, config)
    until(lambda: not jobs.view(workspace, study).active)
    (seen,) = jobs.views(workspace, "wayward")
    assert (seen.state, seen.done, seen.runs) == ("finished", 4, 4), study.log.read_text()
    assert jobs.views(workspace, "sweep") == []
    found = wayward_found(study)
    here = verbs.study_run(config, workspace=Workspace(study.path / "own"))
    drop = ["prompt"]
    pd.testing.assert_frame_equal(
        found.runs_frame().drop(columns=drop), here.found.runs_frame().drop(columns=drop)
    )
    assert "at γ = 0 F1 was" in study.figures.read_text()
    jobs.start(workspace, config)  # its model may be another by now
    until(lambda: not jobs.view(workspace, study).active)
    seen = jobs.view(workspace, study)
    assert (seen.state, seen.found, seen.pid) == ("finished", 4, None)


@pytest.mark.process
def test_a_cancelled_study_keeps_its_packs_and_goes_on_and_so_does_a_killed_one(
    workspace, model, task
):
    config = _config(model, task, steps=250, seeds=4)  # 16 runs in 2 packs
    study = jobs.start(workspace, config)
    until(lambda: jobs.view(workspace, study).done)
    jobs.cancel(workspace, study.id)
    seen = jobs.view(workspace, study)
    assert seen.state == "cancelled" and seen.resumable and seen.done == 8
    assert len(wayward_found(study).runs) == seen.done
    with pytest.raises(TrainingError, match="nothing to cancel"):
        jobs.cancel(workspace, study.id)
    cancelled_pid = study.status.pid
    jobs.start(workspace, config)
    until(lambda: study.status.pid != cancelled_pid and jobs.view(workspace, study).step)
    os.kill(study.status.pid, signal.SIGKILL)
    until(lambda: jobs.view(workspace, study).state == "interrupted")
    verbs.study_run(config, workspace=workspace)
    seen = jobs.view(workspace, study)
    assert (seen.state, seen.done, seen.found) == ("finished", 16, 8)


@pytest.mark.process
def test_a_study_waits_for_the_training_ahead_of_it(workspace, model, task):
    mine = process_start_time(os.getpid())
    config = verbs.run_config(model, task, {"steps": 2}, device="cpu", workspace=workspace)
    run = workspace.runs.create(config, Status("running", 0.0, pid=os.getpid(), started=mine))
    study = jobs.start(workspace, _config(model, task))
    seen = jobs.view(workspace, study)
    assert (seen.state, seen.waits_for) == ("queued", (run.id,))
    run.write(dataclasses.replace(run.status, takes_turn=False))  # as a study on a cluster
    assert jobs.view(workspace, study).waits_for == ()
    run.write(dataclasses.replace(run.status, takes_turn=True))
    jobs.cancel(workspace, study.id)
    seen = jobs.view(workspace, study)
    assert seen.state == "cancelled" and "0 runs" in seen.message
    with pytest.raises(TrainingError, match="is no single training: leave --steps out"):
        jobs.resume(workspace, study.id, steps=9)
    assert {one.kind for one in jobs.views(workspace)} == {"train", "wayward"}
    jobs.delete(workspace, study.id)
    assert list(workspace.studies) == []


@pytest.mark.process
def test_a_study_that_cannot_be_done_says_why_in_its_folder(workspace, model, task, tmp_path):
    config = _config(model, task)
    missing = config.request | {"models": [str(tmp_path / "nowhere")]}
    study = jobs.start(workspace, dataclasses.replace(config, request=missing))
    until(lambda: not jobs.view(workspace, study).active)
    assert jobs.view(workspace, study).state == "failed"
    assert "nowhere" in jobs.view(workspace, study).message


def test_a_worker_that_never_began_is_interrupted_after_a_while(workspace, model, task):
    study = workspace.studies.create(_config(model, task), Status("queued", time.time()))
    assert jobs.view(workspace, study).state == "queued"
    study.write(Status("queued", time.time() - 3600))
    assert jobs.view(workspace, study).state == "interrupted"


def test_a_prompt_of_a_study_enters_the_library_once(workspace, model, task):
    result = verbs.study_run(_config(model, task), workspace=workspace)
    (study,) = workspace.studies
    run = next(run for run in result.found.runs if run.gamma)
    name = keep_wayward(study, run, workspace=workspace)
    assert keep_wayward(study, run, workspace=workspace) == name
    (card,) = workspace.list("wayward")
    assert card.id == name and f"“{run.target}” at γ = 20" in card.note
