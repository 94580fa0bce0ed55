"""`probe runs`: what stands in the folders, for people and programs."""

import dataclasses
import io
import os
import time

import pytest

from probe.cli.completion import complete_run
from probe.jobs.processes import process_start_time
from probe.store import JobConfig, Status, Workspace
from probe.tables import load_vocabulary
from tests.verbs.test_drifting import keep_trajectory

CONFIG = JobConfig(
    kind="train",
    name="mood",
    request={
        "model": "builtin",
        "task": "sst2",
        "training": {"method": "prompt_tuning", "steps": 200},
    },
    created="2026-01-02T03:04:05+00:00",
)
VALIDATION = {"metric": "accuracy", "value": 0.875, "loss_nats": 0.5, "examples": 8}


@pytest.fixture
def made(home):
    """A run's folder in some state: `made("running", pid=…)`."""

    def make(state, **fields):
        status = Status(state, queued_at=time.time(), **fields)
        return Workspace().runs.create(CONFIG, status)

    return make


@pytest.fixture
def running(made):
    """A run that this process works at, as far as anybody can tell."""
    return made(
        "running",
        pid=os.getpid(),
        started=process_start_time(os.getpid()),
        heartbeat=time.time() - 3,
        activity="training",
        began=0,
        step=50,
        loss_nats=0.6931,
        tokens_per_s=1234.5,
        eta_s=3725.0,
        validation=VALIDATION,
    )


def test_without_runs_there_is_a_hint_and_no_workspace(probe, home, check_schema):
    assert "no runs: `probe train --task T` starts one" in probe("runs").flat
    check_schema("runs", probe("runs", "--json").json)
    assert not (home / "runs").exists()


def test_the_list_says_how_far_each_run_is(running, made, probe, check_schema):
    done = made("finished", step=200, prompts=("mood@1",), metrics={"accuracy": 0.9})
    result = probe("runs", "--json")
    check_schema("runs", result.json)
    runs = {run["run"]: run for run in result.json["runs"]}
    assert set(runs) == {running.id, done.id}
    active = runs[running.id]
    assert (active["state"], active["step"], active["steps"]) == ("running", 50, 200)
    assert active["pid"] == os.getpid() and 2 < active["silent_s"] < 60
    assert runs[done.id]["prompts"] == ["mood@1"] and runs[done.id]["eta_s"] is None
    shown = probe("runs").flat
    for words in ("50/200", "0.6931", "accuracy 0.875", "1 h 2 min", "mood@1", "finished"):
        assert words in shown


def test_a_dead_worker_shows_as_interrupted_with_the_way_on(running, probe, check_schema):
    running.write(dataclasses.replace(running.status, started="another boot 7"))
    result = probe("runs", "show", "mood", "--json")
    check_schema("runs", result.json)
    (run,) = result.json["runs"]
    assert (run["state"], run["pid"], run["silent_s"]) == ("interrupted", None, None)
    assert f"probe train --resume {running.id}" in probe("runs", "show", "mood").flat


def test_one_run_is_shown_with_what_came_of_it(made, probe):
    metrics = {"accuracy": 0.912345, "accuracy_interval": [0.85, 0.95], "folds": [{}, {}]}
    made("finished", step=200, prompts=("mood@1",), metrics=metrics)
    shown = probe("runs", "show", "mood").flat
    for words in ("builtin, sst2", "200 of 200", "mood@1", "0.912", "0.850 to 0.950", "folds 2"):
        assert words in shown
    assert "--resume" not in shown


def test_a_run_is_called_what_people_want(made, probe, check_schema):
    run = made("finished", step=200, prompts=("mood@1",))
    result = probe("runs", "rename", "mood", "high rate", "--json")
    check_schema("runs", result.json)
    assert [(one["run"], one["label"]) for one in result.json["runs"]] == [(run.id, "high rate")]
    assert "high rate" in probe("runs").flat and "high rate" in probe("runs", "show", "mood").flat


@pytest.mark.parametrize(
    ("state", "command", "message"),
    [
        ("finished", "cancel", "is finished: there is nothing to cancel"),
        ("failed", "cancel", "is failed: there is nothing to cancel"),
        ("finished", "resume", "is finished and made mood@1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(state, command, message, made, probe):
    made(state, prompts=("mood@1",))
    result = probe("runs", command, "mood")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err


def test_a_run_with_a_worker_is_neither_resumed_nor_deleted(running, probe):
    for command in (("resume", "mood"), ("delete", "mood", "--yes")):
        result = probe("runs", *command)
        assert result.code == 1 and "is running: cancel it first" in result.err
    assert running.path.is_dir()


@pytest.mark.parametrize("command", ["show", "cancel", "resume", "delete"])
def test_an_unknown_run_is_told_with_those_it_may_be(command, made, probe):
    run = made("finished")
    result = probe("runs", command, run.id[:-1] + "9")
    assert result.code == 1 and f"expected one of {run.id}" in result.err


def test_a_run_is_followed_step_by_step(made, probe, check_schema):
    run, vocabulary = made("finished"), load_vocabulary("builtin")
    keep_trajectory(run, {0: vocabulary.rows([300, 400]), 8: vocabulary.rows([300, 500]) * 2})
    words = [vocabulary.tokens[i].lstrip("␣") for i in (300, 400, 500)]
    told = probe("runs", "drift", "mood").flat
    assert f" 1 {words[0]} {words[2]}" in told and f" 0 {words[0]} {words[1]}" in told
    assert "Over these 2 steps nearest tokens changed 1 time." in told
    found = probe("runs", "drift", "mood", "--json").json
    check_schema("runs_drift", found)
    assert found["steps"] == [0, 8]
    refused = probe("runs", "drift", "mood", "--fold", "2")
    assert refused.code == 1 and "has no checkpoint yet" in refused.err


def test_deleting_asks_first(made, probe, monkeypatch, check_schema):
    run = made("finished")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))  # nobody answers
    assert probe("runs", "delete", "mood").code == 1 and run.path.is_dir()
    result = probe("runs", "delete", "mood", "--yes", "--json")
    check_schema("runs_delete", result.json)
    assert result.json == {"deleted": run.id} and not run.path.exists()


def test_a_damaged_run_is_named_on_stderr_and_can_be_deleted(made, probe):
    good, bad = made("finished"), made("finished")
    (bad.path / "status.json").write_text("{}")
    result = probe("runs", "--json")
    assert [run["run"] for run in result.json["runs"]] == [good.id]
    assert f"left out {bad.id}" in result.err and result.code == 0
    assert probe("runs", "delete", bad.id, "--yes").code == 0
    assert Workspace().runs.ids() == [good.id]


def test_text_of_a_run_cannot_write_to_the_terminal(made, probe):
    made("failed", message="\x1b[2J[red]boo")
    shown = probe("runs", "show", "mood").out
    assert "\x1b[2J" not in shown and r"\x1b[2J[red]boo" in shown


def test_a_shell_is_offered_the_runs(made):
    run = made("finished")
    assert complete_run("mo") == [run.id] and complete_run("x") == []


def _scores(accuracy):
    gain = accuracy - 0.5
    return {
        "metric": "accuracy", "accuracy": accuracy, "zero_shot_accuracy": 0.5, "split": "test",
        "examples": 40, "accuracy_interval": [accuracy - 0.1, accuracy + 0.1],
        "accuracy_gain_interval": [gain - 0.1, gain + 0.1],
    }  # fmt: skip


def test_the_list_and_one_run_say_the_same_of_a_gain_that_is_not_clear(made, probe):
    for accuracy in (0.52, 0.55):
        run = made("finished", step=200, prompts=("mood@1",), metrics=_scores(accuracy))
    words = (
        "est accuracy 0.550 (95 % interval 0.450 to 0.650, 40 examples); the model alone 0.500, "
        "gain +0.050 (−0.050 to +0.150): no clear difference"
    )
    told = probe("runs").flat
    assert "No gain is clear. The largest gain is that of" in told
    assert f"t{words}; best of 2, chosen on the same test examples." in told
    assert f"T{words}." in probe("runs", "show", run.id).flat


def test_a_study_is_shown_and_deleted_as_a_run_is(probe, check_schema):
    asked = {"models": ["builtin"], "tasks": ["mood", "sst2"], "grid": {}}
    config = JobConfig("sweep", "grid-mood", asked, created="2026-01-02T03:04:05+00:00")
    counts = {"runs": 8, "found": 2, "packs": 1, "pack_step": 3, "pack_steps": 9}
    dead = Status("running", time.time(), pid=1, started="another boot", step=4, metrics=counts)
    study = Workspace().studies.create(config, dead)
    shown = probe("runs", "show", study.id)
    assert "interrupted" in shown.flat and "4 of 8" in shown.flat and "mood, sst2" in shown.flat
    assert f"probe runs resume {study.id}" in shown.flat
    assert "–" not in shown.out and "validation" not in shown.out  # what a study has not
    document = probe("runs", "show", "sweep", "--json").json
    check_schema("runs", document)
    (found,) = document["runs"]
    assert (found["kind"], found["done"], found["runs"], found["found"]) == ("sweep", 4, 8, 2)
    assert probe("runs", "--json").json == document
    listed = probe("runs").flat
    assert f"{study.id} sweep interrupted 4/8" in listed
    assert probe("runs", "delete", study.id, "--yes").code == 0
    assert list(Workspace().studies) == []
