"""The Train page: a form that works as it is, runs that outlive the page, one-line errors."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.markdown import plain
from dashboard.shared.side_jobs import job_of, plan_of, start_job
from dashboard.shared.sidebar import OWN
from probe import jobs, verbs
from probe.errors import WorkspaceError
from probe.jobs import worker
from probe.requests.training import with_recommended
from probe.store import JobFolder, Workspace, queued
from probe.tables import default_model
from probe.verbs.distilling import distill_config
from tests.app.conftest import strips_of
from tests.trainable import write_task
from tests.waiting import LONGEST_S, until

Open = Callable[..., AppTest]
Made = Callable[..., JobFolder]

KILLED = "killed while it did not answer: it goes on from its last checkpoint"


def _button(at: AppTest, label: str) -> object:
    return next(button for button in at.button if label in button.label)


def _texts(at: AppTest) -> str:
    return " ".join(one.value for one in at.markdown)


def _command(at: AppTest) -> str:
    return next(one.value for one in at.code if one.value.startswith("probe train"))


def test_a_first_visit_offers_a_form_that_works_as_it_is(open_page: Open) -> None:
    at = open_page("train")
    assert "Nothing is training" in at.markdown[0].value
    model = default_model()
    usual = with_recommended(model, {})
    assert at.number_input(key="t_steps").value == usual.get("steps", 400)
    assert at.number_input(key="t_length").value == usual.get("length", 20)
    assert at.selectbox(key="t_model").value == model
    assert _command(at).startswith(f"probe train --model {model} --task mood --name mood-prompt_t")


def test_the_command_follows_the_fields(open_page: Open, model: str) -> None:
    at = open_page("train")
    at.selectbox(key="t_start").set_value("text").run()
    assert "needs one, so type it" in at.error[0].value
    at.text_input(key="t_words").set_value("it's great").run()
    at.number_input(key="t_length").set_value(3)
    at.selectbox(key="t_method").set_value("p_tuning")
    at.number_input(key="t_learning_rate").set_value(0.01).run()
    command = _command(at)
    for words in ("--length 3", "--method p_tuning", "--lr 0.01", "'text:it'\"'\"'s great'"):
        assert words in command


def test_a_field_follows_what_is_recommended_until_it_is_changed(open_page: Open) -> None:
    at = open_page("train", state={"t_model": "builtin"})
    at.number_input(key="t_batch_size").set_value(7)
    at.number_input(key="t_eval_every").set_value(9)
    at.selectbox(key="t_model").set_value("smollm2")
    at.selectbox(key="t_method").set_value("p_tuning").run()
    usual = with_recommended("smollm2", {"method": "p_tuning"})
    assert at.number_input(key="t_length").value == usual["length"]
    assert at.selectbox(key="t_encoder").value == usual["encoder"]
    assert at.selectbox(key="t_start").value == usual["init"]
    at.number_input(key="t_steps").set_value(None).run()
    assert at.number_input(key="t_steps").placeholder == str(usual["steps"])
    for words in (f"--steps {usual['steps']}", "--batch-size 7", "--eval-every 9"):
        assert words in _command(at)


def test_fields_that_contradict_each_other_are_one_line(open_page: Open) -> None:
    at = open_page("train")
    at.number_input(key="t_gamma").set_value(0.5).run()
    assert len(at.error) == 1
    assert "gamma needs a target" in at.error[0].value
    assert not [button for button in at.button if button.label == "Start training"]


@pytest.mark.process
def test_start_makes_a_run_of_its_own_that_finishes_and_opens_in_decode(
    open_page: Open, workspace: Workspace, model: str, task: str
) -> None:
    at = open_page("train", state={"t_task": task, "t_model": model, "model": "minilm"})
    for key, value in {"t_length": 3, "t_steps": 6, "t_batch_size": 4, "t_eval_every": 3}.items():
        at.number_input(key=key).set_value(value)
    at.run()
    _button(at, "Start training").click().run()
    assert not at.error
    (run,) = workspace.runs
    assert at.query_params["run"] == run.id
    assert os.getpgid(run.status.pid) != os.getpgid(0)
    until(lambda: jobs.view(workspace, run).state == "finished")
    at.run()
    assert "Finished after 6 steps: made moods" in _texts(at)
    assert "the model alone" in _texts(at)
    assert len(at.get("plotly_chart")) == 5  # curves, and the paths of the rows
    _button(at, "Open in Decode").click().run()
    assert at.session_state["p"] == ["moods-prompt_tuning@1"] and at.session_state["model"] == OWN
    assert run.config.command == verbs.train_command(run.config)


def test_a_running_run_is_found_without_any_address(open_page: Open, made: Made) -> None:
    made("running", living=True, records=4, step=4, activity="training", eta_s=65.0)
    at = open_page("train")
    assert "Training: step 4 of 6, about 1 min 5 s left." in _texts(at)
    loss = json.loads(at.get("plotly_chart")[0].proto.spec)["data"]
    assert "training, running mean" in [trace["name"] for trace in loss]
    assert _button(at, "Cancel")
    assert _button(at, "Start, behind the run at work")


def test_a_run_that_is_asked_to_end_says_so_and_is_asked_once(open_page: Open, made: Made) -> None:
    run = made("running", living=True, step=4, activity="training")
    run.stop.touch()
    at = open_page("train")
    assert "Stopping: it ends once it has saved" in _texts(at)
    assert at.button(key=f"cancel_{run.id}").disabled


def test_a_run_that_ends_while_one_looks_stays_in_sight(open_page: Open, made: Made) -> None:
    run = made("running", living=True, records=4, step=4, activity="training")
    at = open_page("train")
    run.write(dataclasses.replace(run.status, state="cancelled", message="stopped"))
    at.run()
    assert "Cancelled at step 4 of 6" in _texts(at)
    assert _button(at, "Resume")


@pytest.mark.parametrize(
    ("step", "message", "said"),
    [
        (4, "stopped at step 4 of 6", "Cancelled at step 4 of 6; it was saved."),
        (0, "stopped at step 0 of 6", "Cancelled at step 0 of 6."),
        (4, KILLED, "Cancelled at step 4 of 6."),
    ],
)
def test_a_cancelled_run_was_saved_only_if_it_could_be(
    open_page: Open, made: Made, step: int, message: str, said: str
) -> None:
    run = made("cancelled", step=step, message=message)
    at = open_page("train", run=run.id)
    assert f"#### {said}" in [one.value for one in at.markdown]
    assert [one.value for one in at.warning] == ([plain(KILLED)] if message == KILLED else [])
    assert ("where it was saved" in _texts(at)) == said.endswith("it was saved.")


def test_settings_that_are_no_longer_valid_are_shown_without_a_command(
    open_page: Open, made: Made
) -> None:
    run = made("running", pid=1, started="another boot", step=2)
    config = run.path / "config.json"
    config.write_text(config.read_text().replace('"clip_norm": 1.0', '"clip_norm": 0.0'))
    at = open_page("train")  # interrupted just now, so shown unasked
    assert not at.error
    assert "Interrupted at step 2 of 6" in _texts(at)
    assert json.loads(at.code[0].value)["clip_norm"] == 0.0


def test_a_run_that_cannot_be_shown_leaves_the_rest_of_the_page(
    open_page: Open, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(run_id: str) -> None:
        raise WorkspaceError(f"{run_id} is damaged")

    made("running", living=True, step=1, activity="training")
    monkeypatch.setattr("dashboard.runs.panel.draw_run", unreadable)
    at = open_page("train")
    assert "is damaged" in at.error[0].value
    assert "run" not in at.query_params
    assert "Nothing is training" not in _texts(at)
    assert _button(at, "Start, behind the run at work")


def test_a_killed_worker_shows_as_interrupted_with_the_way_on(open_page: Open, made: Made) -> None:
    made("running", pid=1, started="another boot", step=4, activity="training")
    at = open_page("train")
    assert "Interrupted at step 4 of 6" in _texts(at)
    assert "Nothing up to the last checkpoint is lost" in _texts(at)
    assert _button(at, "Resume")


def test_a_waiting_run_names_what_is_before_it_and_can_be_cancelled(
    open_page: Open, made: Made, workspace: Workspace
) -> None:
    made("running", living=True, step=1, activity="training")
    waiting = made("queued")
    at = open_page("train")
    assert "Waiting for the run before it" in _texts(at)
    at.button(key=f"cancel_{waiting.id}")
    at.button(key=f"show_{waiting.id}").click().run()
    assert at.query_params["run"] == waiting.id


@pytest.mark.parametrize(
    "message",
    [
        "out of memory: choose a smaller batch size, a shorter prompt or a smaller model",
        "the loss was nan: try a lower learning rate",
        "nobody/model cannot be loaded as a model: no such folder",
    ],
)
def test_a_failure_is_said_in_one_line(open_page: Open, made: Made, message: str) -> None:
    made("failed", message=message, step=2)
    at = open_page("train", run="moods")
    assert not at.exception
    assert f"Failed at step 2: {message}".replace("-", "\\-")[:30] in _texts(at)


def test_an_address_of_a_run_that_is_gone_falls_back_to_the_form(open_page: Open) -> None:
    at = open_page("train", run="nobody")
    assert "no single run nobody" in at.error[0].value
    assert "Nothing is training" in _texts(at)


def test_bad_data_is_refused_before_anything_is_started(
    open_page: Open, workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_task(tmp_path / "bad")
    with (folder / "train.jsonl").open("a") as file:
        file.write('{"text": "no label"}\n')
    at = open_page("train", state={"t_task": str(folder)})
    _button(at, "Start training").click().run()
    assert "train\\.jsonl, line 25" in at.error[0].value
    assert workspace.runs.ids() == []


def _upload(at: AppTest, *files: tuple[str, bytes]) -> AppTest:
    at.file_uploader[0].set_value([(name, data, "text/csv") for name, data in files])
    return at.run()


CSV = b"review,stars\n" + b"".join(b"row %d,%d\n" % (i, i % 2) for i in range(20))


def test_rows_of_one_s_own_are_read_shown_kept_and_chosen(
    open_page: Open, workspace: Workspace
) -> None:
    at = _upload(open_page("train"), ("films.csv", CSV))
    assert list(at.dataframe[0].value.columns) == ["review", "stars"]
    assert "Type 2 label words" in at.info[0].value
    next(one for one in at.text_input if "Label words" in one.label).set_value("bad, good").run()
    assert "18 to train, 2 to validate, 0 to test" in _texts(at)
    assert "will have no test score" in at.warning[0].value
    assert any("It was [bad]" in one.value for one in at.code)
    _button(at, "Keep as a task").click().run()
    assert workspace.tasks.names() == ["films"]
    assert at.session_state["t_task"] == str(workspace.tasks.path("films"))
    assert "films" in _command(at)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CSV + b"one cell too many,1,2\n", "line 22"),
        (CSV + b",1\n", "line 22"),
        (b"text,label\n\xff,1\n", "line 2"),
        (b"text,label\na,1\nb,1\n", "2 to 30 different labels, found 1"),
    ],
)
def test_a_bad_row_is_named_by_its_line(open_page: Open, content: bytes, message: str) -> None:
    at = _upload(open_page("train"), ("films.csv", content))
    for one in at.text_input:
        if "Label words" in one.label:
            one.set_value("bad, good").run()
    assert len(at.error) == 1
    assert message in at.error[0].value.replace("\\", "")
    assert "/tmp" not in at.error[0].value


def test_values_no_table_can_hold_are_shown_as_text(open_page: Open) -> None:
    row = b'{"text": "half \\ud83d", "label": %d}\n'
    at = _upload(open_page("train"), ("films.jsonl", row % 10**30 + row % 7))
    assert list(at.dataframe[0].value["label"]) == ["1" + "0" * 30, "7"]
    assert "Type 2 label words" in at.info[0].value


def test_a_file_name_no_file_system_takes_is_cut(open_page: Open, workspace: Workspace) -> None:
    at = _upload(open_page("train"), ("\U0001f600" * 300 + "films.csv", CSV))
    assert not at.error
    assert list(at.dataframe[0].value.columns) == ["review", "stars"]


def test_an_estimate_is_made_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    left = iter((8, 0))

    def answered(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, json.dumps({"trainings": next(left)}), "")

    monkeypatch.setattr("dashboard.shared.side_jobs.subprocess.run", answered)
    plans = [plan_of(("probe", "train", "--anew")) for _ in range(2)]
    assert plans == [{"trainings": 8}, {"trainings": 0}]


@pytest.mark.process
def test_the_time_of_a_run_is_estimated_on_demand(
    open_page: Open, model: str, task: str, workspace: Workspace
) -> None:
    at = open_page("train", state={"t_task": task, "t_model": model})
    _button(at, "Estimate").click().run(timeout=LONGEST_S)
    assert "ms a step on cpu" in at.success[0].value
    assert "24 training examples" in at.success[0].value
    assert workspace.runs.ids() == []


def test_an_upload_may_ask_about_several_columns_in_several_words(open_page: Open) -> None:
    content = b"a,b,label\nthe film,a day,x\na soup,the day,y\nthe song,a film,x\nit,so,y\n"
    at = _upload(open_page("train"), ("pairs.csv", content))
    by_label = {field.label: field for field in at.text_input}
    by_label["Label words for x, y"].set_value("good|great, bad")
    by_label["Template"].set_value("{a} so {b} is").run()
    assert not at.exception and not at.error
    assert any("the film so a day is [good]" in code.value for code in at.code)


def test_a_text_of_one_s_own_is_asked_for_by_the_command_shown(
    open_page: Open, workspace: Workspace
) -> None:
    at = open_page("train", new="a text of your own")
    assert not any(one.value.startswith("probe distill") for one in at.code)
    _button(at, "Distil it").click().run()
    assert "a text to distil, found an empty one" in at.error[0].value
    at.text_input(key="own_text").set_value("Always answer *in French*.").run()
    at.number_input(key="own_steps").set_value(12)
    at.selectbox(key="own_model").set_value("builtin").run()
    command = next(one.value for one in at.code if one.value.startswith("probe distill"))
    assert command == "probe distill 'Always answer *in French*.' --model builtin --steps 12"
    assert workspace.runs.ids() == []


def test_a_distillation_ends_in_its_reading_and_can_be_asked_for_again(
    open_page: Open, workspace: Workspace, model: str, own_handlers: None
) -> None:
    asked = distill_config(
        "kind warm calm", model, length=2, steps=3, frame="{prompt} {text} it was", device="cpu",
        workspace=workspace,
    )  # fmt: skip
    run = workspace.runs.create(asked, queued())
    assert worker.main([str(run.path)]) == 0
    at = open_page("train", run=run.id)
    assert "the text “kind warm calm” on" in _texts(at)
    share = jobs.view(workspace, run).metrics["share_explained"]
    assert f"**{100 * share:.0f} %** of the text's effect in 2 rows" in _texts(at)
    assert any("what they learned" in one.value for one in at.subheader)
    assert len(strips_of(at)) == 3  # what was added to all rows and to each, and the way there
    _button(at, "Reproduce").click().run()
    assert at.text_input(key="own_text").value == "kind warm calm"
    assert at.number_input(key="own_steps").value == 3
    said = at.info[0].value.replace("\\", "")
    assert "no field for its **frame {prompt} {text} it was, device cpu**" in said
    at = open_page("runs")
    assert list(at.dataframe[0].value["task"]) == ["distilled"]


@pytest.mark.process
def test_a_command_at_work_says_how_far_it_is(workspace: Workspace) -> None:
    arguments = ("distill", "--model", "nothing/of/the/kind", "kind")
    start_job(arguments)
    job = job_of(arguments)
    assert job is not None
    job.process.wait(timeout=LONGEST_S)
    assert job.said == f"probe: {job.last_words()}"
