"""Runs as processes: queued, killed, resumed, cancelled; real ones, on a tiny model."""

import dataclasses
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from probe import jobs, verbs
from probe.datasets import load_task
from probe.errors import TrainingError, WorkspaceError
from probe.evaluation import Condition, answer
from probe.jobs import worker
from probe.jobs.outcome import scored
from probe.jobs.processes import (
    Stopped,
    StopRequest,
    is_alive,
    process_start_time,
    signal_worker,
)
from probe.jobs.reporter import Reporter
from probe.jobs.run_queue import locked
from probe.jobs.training import Pace, log_steps, prepare_training, request_of, task_of
from probe.jobs.trajectory import kept_trajectory
from probe.models import load_model
from probe.store import RECORDED_BY, Workspace, read_records
from probe.tables import load_vocabulary
from probe.training import train
from tests.trainable import LIGHT
from tests.waiting import until


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def asked(model, task, workspace):
    """Make a run's configuration: `asked(steps=9, folds=2)`."""

    def ask(*, folds=None, name=None, test_examples=2000, **training):
        return verbs.run_config(
            model,
            task,
            LIGHT | training,
            name=name,
            folds=folds,
            device="cpu",
            test_examples=test_examples,
            workspace=workspace,
        )

    return ask


@pytest.fixture
def made(workspace, asked):
    """A run's folder whose worker has not begun."""

    def make(**options):
        status = jobs.control.Status("queued", queued_at=time.time())
        return workspace.runs.create(asked(**options), status)

    return make


@contextmanager
def _turn_taken(workspace):
    """This process trains, as far as others know."""
    workspace.runs.root.mkdir(parents=True, exist_ok=True)
    turn = os.open(workspace.runs.root / ".turn", os.O_RDWR | os.O_CREAT)
    assert locked(turn)
    yield
    os.close(turn)


def _work(run) -> int:
    """Be the worker of a run, in this process."""
    return worker.main([str(run.path)])


def _logged(run) -> list[tuple[int, float]]:
    return [(record["step"], record["loss_nats"]) for record in read_records(run.metrics)[0]]


# What a run leaves


def test_a_run_that_diverged_before_any_checkpoint_keeps_its_best_validation(asked, model):
    config = request_of(asked(steps=9, eval_every=2, checkpoint_every=100))
    frozen, shared = load_model(model, device="cpu"), load_task(str(config.task))
    training = train(frozen, shared, config.config)
    for step in training:
        if step.step == 5:
            training.runs[0].module.rows.data.fill_(math.inf)
    assert training.runs[0].diverged and training.runs[0].good_step == 0
    (prompt,) = scored(frozen, shared, training, config)
    assert prompt.metrics["step"] in (2, 4) and "accuracy" in prompt.metrics
    training.runs[0].best = None
    with pytest.raises(TrainingError, match="diverged: .*: try a lower learning rate"):
        scored(frozen, shared, training, config)


def test_the_model_alone_is_asked_in_the_words_of_the_prompt(asked, model):
    config = request_of(asked(template="well {prompt:1} {text} so {prompt:2} it was"))
    frozen, shared = load_model(model, device="cpu"), load_task(str(config.task))
    training = train(frozen, shared, config.config)
    list(training)
    (prompt,) = scored(frozen, shared, training, config)
    plain = dataclasses.replace(shared, template="well  {text} so  it was")
    (alone,) = answer(frozen, [Condition("", plain, None)], shared.test)
    assert prompt.metrics["zero_shot_loss_nats"] == pytest.approx(alone.losses_nats.mean())


def test_folds_of_training_examples_alone_are_scored_each_on_its_own(asked, model, task, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(task, bare)
    (bare / "validation.jsonl").unlink()
    (bare / "test.jsonl").unlink()
    config = dataclasses.replace(request_of(asked(folds=2)), task=str(bare))
    frozen, shared = load_model(model, device="cpu"), task_of(config)
    training = prepare_training(frozen, shared, config)
    list(training)
    prompts = scored(frozen, shared, training, config)
    assert [len(run.task.train) for run in training.runs] == [12, 12]
    for prompt, run in zip(prompts, training.runs, strict=True):
        (answers,) = answer(frozen, [Condition("", shared, prompt)], run.task.validation)
        assert prompt.metrics["loss_nats"] == pytest.approx(answers.losses_nats.mean())
        assert (prompt.metrics["split"], prompt.metrics["examples"]) == ("validation", 12)


# Real processes


@pytest.mark.process
def test_one_run_trains_at_a_time_and_the_next_one_has_its_turn_when_that_ends(workspace, asked):
    with _turn_taken(workspace):
        first, second = (jobs.start(workspace, asked()) for _ in range(2))
        assert os.getpgid(first.status.pid) == first.status.pid != os.getpgid(0)
        assert jobs.view(workspace, first).waits_for == ()
        waiting = jobs.view(workspace, second)
        assert (waiting.state, waiting.waits_for) == ("queued", (first.id,))
        with pytest.raises(TrainingError, match="is queued: cancel it first, or wait"):
            jobs.resume(workspace, first.id)
        with pytest.raises(TrainingError, match="is queued: cancel it first"):
            jobs.delete(workspace, first.id)
    until(lambda: first.status.state == "running")
    assert second.status.state == "queued"
    os.kill(first.status.pid, signal.SIGKILL)
    until(lambda: second.status.state == "running")
    died = jobs.view(workspace, first)
    assert (died.state, died.pid, died.resumable) == ("interrupted", None, True)
    jobs.cancel(workspace, second.id)  # it is loading: there is nothing to save
    assert jobs.view(workspace, second).state == "cancelled"


@pytest.mark.process
def test_a_queued_run_is_cancelled_at_once_and_stays_resumable(workspace, asked):
    with _turn_taken(workspace):
        run = jobs.start(workspace, asked())
        assert jobs.view(workspace, run).state == "queued"
        jobs.cancel(workspace, run.id)
    found = jobs.view(workspace, run)
    assert (found.state, found.message) == ("cancelled", "stopped at step 0 of 6")
    assert found.resumable and not found.active
    with pytest.raises(TrainingError, match="is cancelled: there is nothing to cancel"):
        jobs.cancel(workspace, run.id)


DEAF = """
import os, signal, subprocess, sys, time
from pathlib import Path
from probe.jobs.reporter import Reporter
from probe.store import JobFolder
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
run = JobFolder(Path(sys.argv[1]))
(run.path / "child").write_text(str(child.pid))
reporter = Reporter(run)
reporter.doing("training")
time.sleep(600)
"""

pytestmark = pytest.mark.usefixtures("own_handlers")


@pytest.mark.process
def test_a_worker_that_does_not_listen_is_killed_with_its_children(workspace, made):
    run = made()
    with subprocess.Popen([sys.executable, "-c", DEAF, run.path], start_new_session=True) as deaf:
        until(lambda: run.status.state == "running")
        child = int((run.path / "child").read_text())
        born = process_start_time(child)
        assert is_alive(child, born)
        jobs.cancel(workspace, run.id, save_s=0.2, end_s=3.0)
    assert deaf.returncode == -signal.SIGKILL
    until(lambda: not is_alive(child, born))
    found = jobs.view(workspace, run)
    assert found.state == "cancelled" and "killed while it did not answer" in found.message
    assert found.resumable


@pytest.mark.process
def test_a_worker_that_cannot_begin_is_reported_and_not_waited_for(workspace, asked, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(TrainingError, match="no worker could be started: see .*log.txt"):
        jobs.start(workspace, asked())
    (found,) = jobs.views(workspace)
    assert found.state == "failed"


# Who is alive


def test_a_process_is_the_same_only_with_the_same_birth():
    mine = process_start_time(os.getpid())
    assert mine is not None and mine == process_start_time(os.getpid())
    assert is_alive(os.getpid(), mine)
    assert not is_alive(os.getpid(), "somebody else's")
    assert not is_alive(None, mine)


@pytest.mark.process
def test_the_dead_and_those_nobody_has_buried_are_not_alive():
    done = subprocess.Popen([sys.executable, "-c", ""])
    born = process_start_time(done.pid)
    until(lambda: not is_alive(done.pid, born), within_s=30)  # a zombie until it is waited for
    done.wait()
    assert process_start_time(done.pid) is None


@pytest.mark.process
def test_a_process_that_took_over_a_pid_is_neither_seen_nor_signalled(workspace, made):
    run = made()
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    )
    try:
        taken = dataclasses.replace(
            run.status, state="running", pid=sleeper.pid, started="long ago", step=4
        )
        run.write(taken)
        assert jobs.view(workspace, run).state == "interrupted"
        with pytest.raises(TrainingError, match="is interrupted: there is nothing to cancel"):
            jobs.cancel(workspace, run.id)
        signal_worker(sleeper.pid, "long ago", signal.SIGKILL)
        time.sleep(0.1)
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.process
def test_a_run_in_anothers_program_is_asked_to_end_and_deleted_once_it_is_silent(workspace, made):
    run = made()
    recorded = {**run.config.request, RECORDED_BY: "PromptWatch"}
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    )
    try:
        born = process_start_time(sleeper.pid)
        status = dataclasses.replace(
            run.status, state="running", pid=sleeper.pid, started=born, own_process=False
        )
        run.write(dataclasses.replace(status, heartbeat=time.time()))
        jobs.cancel(workspace, run.id, save_s=0.1, end_s=0.1)
        assert run.stop.exists() and sleeper.poll() is None
        run.ask(dataclasses.replace(run.config, request=recorded))
        with pytest.raises(TrainingError, match="cancel it first"):
            jobs.delete(workspace, run.id)
        run.write(dataclasses.replace(status, heartbeat=time.time() - 3600))
        jobs.delete(workspace, run.id)
        assert not run.path.exists() and sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_run_whose_worker_never_spoke_is_queued_for_a_minute_and_then_interrupted(
    workspace, made
):
    run = made()
    assert jobs.view(workspace, run).state == "queued"
    run.write(dataclasses.replace(run.status, queued_at=time.time() - 61))
    assert jobs.view(workspace, run).state == "interrupted"


@pytest.mark.slow
def test_only_one_worker_is_ever_at_a_run(made, capsys):
    run = made()
    place = os.open(run.path / ".worker", os.O_RDWR | os.O_CREAT)
    assert locked(place)
    before = run.status
    assert _work(run) == 1 and "another worker" in capsys.readouterr().err
    os.close(place)
    assert run.status == before


# What a worker does


def test_a_finished_prompt_knows_its_scores_its_origin_and_its_start(workspace, made, model, task):
    run = made(init="text:the film was", length=None)
    assert _work(run) == 0
    (name,) = run.status.prompts
    prompt, found = workspace.get(name), jobs.view(workspace, run)
    assert (name, found.state, found.step) == ("moods-prompt_tuning@1", "finished", 6)
    assert (prompt.task, prompt.base_model) == ("moods", str(model))
    assert prompt.method == "prompt_tuning" and len(prompt.init_token_ids) == 3
    assert prompt.config["run"] == run.id and prompt.config["seed"] == 0
    assert prompt.config["table_sha256"] == load_vocabulary(run.config.request["model"]).fingerprint
    assert prompt.config["training"]["steps"] == 6 and prompt.config["command"] == []
    assert prompt.metrics == found.metrics
    assert (prompt.metrics["split"], prompt.metrics["examples"]) == ("test", 10)
    for score in ("accuracy", "zero_shot_accuracy", "validation_accuracy"):
        assert 0 <= prompt.metrics[score] <= 1
    low, high = prompt.metrics["accuracy_interval"]
    assert low <= prompt.metrics["accuracy"] <= high
    low, high = prompt.metrics["accuracy_gain_interval"]
    assert low <= prompt.metrics["accuracy"] - prompt.metrics["zero_shot_accuracy"] <= high
    card = workspace.card(name)
    assert (card.task, card.metrics["accuracy"]) == ("moods", prompt.metrics["accuracy"])
    _is_there_as_it_was_on_its_way(prompt, run)


def _is_there_as_it_was_on_its_way(prompt, run):
    kept = kept_trajectory(run)
    assert list(kept) == [0, 1, 2, 3, 4, 5, 6]
    start = load_vocabulary(run.config.request["model"]).rows(list(prompt.init_token_ids))
    np.testing.assert_array_equal(kept[0].embeddings, start)
    np.testing.assert_array_equal(kept[prompt.metrics["step"]].embeddings, prompt.embeddings)
    assert (kept[4].name, kept[4].metrics) == ("moods-prompt_tuning-step-4", {"step": 4})
    assert kept[4].config["template"] == prompt.config["template"]  # it can be asked, too


def test_a_prefix_is_kept_too_and_test_examples_can_be_left_out(workspace, made):
    run = made(method="prefix_tuning", test_examples=0)
    assert _work(run) == 0
    (name,) = run.status.prompts
    assert workspace.card(name).kind == "kv_prefix" and not run.trajectory.exists()
    assert "accuracy" not in run.status.metrics and "validation_accuracy" in run.status.metrics


def test_a_run_that_is_stopped_while_a_fold_ends_keeps_the_records_of_the_others(made, model):
    run = made(folds=3)
    request = request_of(run.config)
    training = prepare_training(load_model(model, device="cpu"), task_of(request), request, run)
    first = training.runs[0]
    first.config = dataclasses.replace(first.config, steps=1)
    run.stop.touch()
    with pytest.raises(Stopped):
        log_steps(training, run, Reporter(run), StopRequest(run, signals=()))
    records = read_records(run.metrics)[0]
    assert [(one["step"], one["fold"]) for one in records] == [(1, 1), (1, 2), (1, 3)]


def test_folds_are_trained_at_once_and_kept_one_by_one(workspace, made):
    run = made(folds=3, name="cv")
    assert _work(run) == 0
    assert run.status.prompts == ("cv-fold1@1", "cv-fold2@1", "cv-fold3@1")
    metrics = run.status.metrics
    each = [fold["validation_accuracy"] for fold in metrics["folds"]]
    assert len(each) == 3 and metrics["validation_accuracy"] == pytest.approx(np.mean(each))
    records, _ = read_records(run.metrics)
    assert [(r["step"], r["fold"]) for r in records[:4]] == [(1, 1), (1, 2), (1, 3), (2, 1)]
    second = workspace.get("cv-fold2")
    own = kept_trajectory(run, 1)[second.metrics["step"]]
    assert second.task == "moods" and np.array_equal(own.embeddings, second.embeddings)


def test_a_worker_that_died_after_saving_saves_no_second_prompt(workspace, made):
    run = made()
    assert _work(run) == 0
    whole = run.metrics.read_bytes()
    dead = dataclasses.replace(run.status, state="running", pid=1, started="x", prompts=())
    run.write(dead)
    assert jobs.view(workspace, run).state == "interrupted"
    assert _work(run) == 0
    assert run.status.prompts == ("moods-prompt_tuning@1",)
    assert len(workspace.list()) == 1 and run.metrics.read_bytes() == whole


def test_records_a_killed_worker_left_are_cut_back_to_the_checkpoint(made):
    run = made()
    run.metrics.write_bytes(b'{"step": 1, "loss_nats": 9.0}\n{"step": 2, "lo')
    run.trajectory.mkdir()
    later = run.trajectory / "prompt-0-step-00000009.safetensors"
    later.touch()
    assert _work(run) == 0  # no checkpoint: from the start
    assert not later.exists()
    assert [step for step, _ in _logged(run)] == [1, 2, 3, 4, 5, 6]


def test_a_stop_file_that_is_there_before_the_worker_ends_it_at_once(workspace, made):
    run = made()
    run.stop.touch()
    assert _work(run) == 0
    assert run.status.state == "cancelled" and _logged(run) == []


def test_a_run_that_cannot_be_done_fails_in_one_line(workspace, made, tmp_path):
    run = made()
    run.write(run.status)
    asked = {**run.config.request, "model": str(tmp_path / "nowhere")}
    gone = dataclasses.replace(run.config, request=asked)
    other = workspace.runs.create(gone, run.status)
    assert _work(other) == 1
    assert other.status.state == "failed" and "nowhere" in other.status.message
    assert "\n" not in other.status.message
    assert jobs.view(workspace, other).resumable


def test_a_run_that_diverges_at_once_keeps_nothing(workspace, made):
    run = made(learning_rate=1e30, gamma=1.0, target="the film was", length=3)
    assert _work(run) == 1
    assert "diverged" in run.status.message and "lower learning rate" in run.status.message
    assert workspace.list() == []


@pytest.mark.process
def test_a_finished_run_is_not_resumed_and_its_prompt_outlives_it(workspace, made):
    run = made()
    assert _work(run) == 0
    with pytest.raises(TrainingError, match="is finished and made moods-prompt_tuning@1"):
        jobs.resume(workspace, run.id)
    jobs.delete(workspace, run.id)
    assert jobs.views(workspace) == [] and len(workspace.list()) == 1
    with pytest.raises(WorkspaceError, match="no single run"):
        jobs.delete(workspace, run.id)


def test_a_damaged_run_hides_no_other_and_can_be_deleted(workspace, made, caplog):
    good, bad = made(), made()
    (bad.path / "status.json").write_text("{")
    assert [found.run for found in jobs.views(workspace)] == [good.id]
    assert bad.id in caplog.text
    jobs.delete(workspace, bad.id)
    assert workspace.runs.ids() == [good.id]


def test_another_prompt_can_be_the_start_by_its_workspace_name(workspace, made, asked):
    assert _work(made(name="first")) == 0
    config = asked(init="prompt:first", length=None)
    assert config.request["training"]["init"] == f"prompt:{workspace.prompts.root / 'first@1'}"
    assert Path(config.request["training"]["init"].removeprefix("prompt:")).is_dir()
    run = workspace.runs.create(config, jobs.control.Status("queued", queued_at=time.time()))
    assert _work(run) == 0


# Pace


def test_the_time_left_is_that_of_the_usual_step():
    pace = Pace(0.0)
    assert pace.eta_s(10) is None
    pace.step(5.0)  # warming up
    assert pace.eta_s(10) is None
    now = 5.0
    for took in (1.0, 1.0, 60.0, 1.0):  # one of them validated
        now += took
        pace.step(now)
    assert pace.eta_s(10) == pytest.approx(10.0)
    for _ in range(50):
        now += 2.0
        pace.step(now)
    assert pace.eta_s(10) == pytest.approx(20.0, abs=1.0)
    assert pace.eta_s(0) == 0


def test_the_time_left_does_not_jump_on_a_busy_machine():
    """Steps of 0.1 s, of which every seventh takes 20 times as long, and a spell of slow ones."""
    pace, now, told = Pace(0.0), 0.0, []
    for step in range(1, 1000):
        now += 2.0 if step % 7 == 0 else 0.3 if 300 < step < 340 else 0.1
        pace.step(now)
        eta_s = pace.eta_s(1000 - step)
        if eta_s is not None and step > 50:
            told.append(eta_s)
    jumps = [abs(after - before) / before for before, after in pairwise(told[:-50])]
    assert max(jumps) < 0.15
    assert told[0] == pytest.approx(950 * (2.0 + 6 * 0.1) / 7, rel=0.4)
