"""`probe train`: lines, Ctrl-C, resuming, plans, and what is refused before anything is written."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from probe.jobs import worker
from probe.jobs.plan import TrainPlan
from probe.store import Status, Workspace, read_records
from probe.training import TrainConfig
from tests.trainable import write_task
from tests.waiting import LONGEST_S, until


@pytest.fixture(autouse=True)
def _in_folder(tmp_path, own_handlers):
    """A task folder where the user stands."""
    write_task(tmp_path / "moods")


def _logged(run) -> list[tuple[int, float]]:
    return [(record["step"], record["loss_nats"]) for record in read_records(run.metrics)[0]]


# A run from its start over Ctrl-C and a kill to its end

STEPS = 400
OPTIONS = f"--steps {STEPS} --length 4 --eval-every 50 --checkpoint-every 20 --dropout 0.1"


@pytest.mark.process
def test_ctrl_c_saves_and_says_how_to_resume_and_the_end_is_as_if_nothing_had_happened(
    model, probe, home, check_schema
):
    workspace = Workspace()
    run = _interrupted_by_ctrl_c(model, workspace, check_schema)
    saved = run.status.step
    _killed_while_resumed(run, saved)
    listed = probe("runs", "--json").json
    check_schema("runs", listed)
    assert [one["state"] for one in listed["runs"]] == ["interrupted"]

    resumed = probe("train", "--resume", run.id[:10])
    assert resumed.code == 0, resumed.err
    assert "made mine@1" in resumed.flat and "the model alone" in resumed.flat
    assert re.search(
        r"step 400 · loss [\d.]+ nats · accuracy [\d.]+ · [\d,]+ tokens/s", resumed.err
    )
    assert run.status.state == "finished"

    whole = workspace.runs.create(run.config, Status("queued", queued_at=time.time()))
    assert worker.main([str(whole.path)]) == 0
    assert _logged(run) == _logged(whole) and len(_logged(run)) == STEPS
    one, other = workspace.get("mine@1"), workspace.get("mine@2")
    np.testing.assert_array_equal(one.embeddings, other.embeddings, strict=True)
    assert one.metrics == other.metrics and one.init_token_ids == other.init_token_ids
    command = one.config["command"]
    assert command[:2] == ["probe", "train"] and "--dropout" in command


def _interrupted_by_ctrl_c(model, workspace, check_schema):
    """Start a run with `--json`, interrupt it as a terminal would, and check what it says."""
    command = [
        sys.executable,
        "-m",
        "probe",
        "train",
        "--json",
        "--name",
        "mine",
        "--device",
        "cpu",
    ]
    command += ["--model", model, "--task", "moods", *OPTIONS.split()]
    # Unbuffered, so that reading one line takes no other from `communicate`.
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "bufsize": 0}
    with subprocess.Popen(command, **pipes) as train:
        first = train.stdout.readline()
        train.send_signal(signal.SIGINT)
        out, err = train.communicate(timeout=LONGEST_S)
    *steps, end = [json.loads(line) for line in [first, *out.splitlines()]]
    for step in steps:
        check_schema("train_step", step)
    check_schema("train_end", end)
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    assert 0 < len(steps) < STEPS and end["prompt"] is None and end["state"] == "cancelled"
    (run,) = workspace.runs
    assert train.returncode == 1
    last = err.decode().splitlines()[-1]
    assert last == (
        f"probe: stopped at step {len(steps)} of {STEPS}: go on with "
        f"`probe train --resume {run.id}`"
    )
    assert (run.path / "checkpoints" / f"step-{len(steps):08d}").is_dir()
    return run


def _killed_while_resumed(run, saved):
    """Resume it on a terminal, whose line moves, and kill the worker."""
    terminal, other_end = pty.openpty()
    command = [sys.executable, "-m", "probe", "runs", "resume", run.id]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "110"}
    with subprocess.Popen(command, stderr=other_end, env=environment) as resumed:
        os.close(other_end)
        shown: list[bytes] = []
        reader = threading.Thread(target=_read, args=(terminal, shown))
        reader.start()
        until(lambda: re.search(rb"training.*of 400.*loss \d", b"".join(shown), flags=re.S))
        until(lambda: len(_logged(run)) > saved + 25)
        os.kill(run.status.pid, signal.SIGKILL)
        assert resumed.wait(60) == 1
    reader.join()
    os.close(terminal)
    assert b": the worker died: go on with" in b"".join(shown)
    assert saved < len(_logged(run)) < STEPS


def _read(terminal, shown):
    while True:
        try:
            shown.append(os.read(terminal, 4096))
        except OSError:  # the other end is closed
            return


# Plans


def test_a_dry_run_tells_balance_tokens_per_label_and_cut_texts(model, probe, home, check_schema):
    rows = [{"text": "sweet " * (400 * (n == 0) + 1), "label": int(n < 3)} for n in range(12)]
    folder = home.parent / "uneven"
    folder.mkdir()
    (folder / "task.toml").write_text('label_words = ["dull", "sweet"]\n')
    for split in ("train", "validation"):
        lines = (json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text("".join(lines))
    asked = ("train", "--model", model, "--task", folder, "--device", "cpu", "--dry-run")
    result = probe(*asked, "--length", 3, "--json")
    assert result.code == 0, result.err
    document = result.json
    check_schema("train_plan", document)
    assert document["label_counts"] == [9, 3] and document["cut_texts"] == 2
    assert len(document["label_tokens"]) == 2 and min(document["label_tokens"]) >= 1
    shown = probe(*asked, "--length", 3).flat
    assert "dull 9 (75%), sweet 3 (25%)" in shown and "cut texts 2" in shown
    assert "labels dull (" in shown and " token" in shown


def test_rows_of_one_label_only_are_refused_before_there_is_a_run(model, probe, home):
    folder = home.parent / "one-sided"
    folder.mkdir()
    (folder / "task.toml").write_text('label_words = ["bad", "good"]\n')
    (folder / "train.jsonl").write_text('{"text": "sweet", "label": 1}\n' * 20)
    result = probe("train", "--model", model, "--task", folder)
    assert result.code == 1 and "20 that are all 'good'" in result.err
    assert not (home / "runs").exists()


def test_a_dry_run_prints_sizes_and_a_time_and_writes_nothing(model, probe, home, check_schema):
    before = sorted(home.rglob("*"))
    arguments = ("train", "--model", model, "--task", "moods", "--device", "cpu", "--dry-run")
    result = probe(*arguments, "--json", "--steps", "50", "--folds", "3")
    assert result.code == 0, result.err
    plan = result.json
    check_schema("train_plan", plan)
    assert (plan["train_examples"], plan["validation_examples"], plan["test_examples"]) == (
        16,
        8,
        10,
    )
    assert (plan["prompts"], plan["length"], plan["trained_parameters"]) == (3, 20, 20 * 16)
    assert plan["estimate_s"] == pytest.approx(50 * plan["step_s"]) and plan["step_s"] > 0
    least, most = plan["estimate_range_s"]
    assert (least + most) / 2 == pytest.approx(plan["estimate_s"]) and 0 < least < most
    (words,) = TrainPlan(**plan).headline()
    assert "20 rows, 320 trained numbers, 16 training" in words
    told = probe(*arguments, "--method", "p_tuning", "--length", "5")
    assert "24 to train, 8 to validate, 10 to test" in told.flat
    assert "P-tuning, 5 virtual tokens" in told.flat and "all steps about" in told.flat
    assert sorted(home.rglob("*")) == before


def test_holdout_and_folds_decide_what_validates_where_a_task_has_no_split(model, probe):
    Path("moods/validation.jsonl").unlink()
    arguments = ("train", "--model", model, "--task", "moods", "--device", "cpu", "--dry-run")

    def sizes(*more):
        plan = probe(*arguments, "--json", *more).json
        return plan["train_examples"], plan["validation_examples"]

    assert (sizes(), sizes("--holdout", "0.5"), sizes("--holdout", "0")) == (
        (21, 3),
        (12, 12),
        (24, 0),
    )
    assert sizes("--folds", "3") == sizes("--folds", "3", "--holdout", "0.5") == (16, 8)
    refused = probe(*arguments, "--holdout", "0", "--patience", "2")
    assert refused.code == 1 and "which patience needs: set holdout above 0" in refused.err


# Options


def test_every_field_of_a_configuration_is_an_option_with_its_default_and_words(probe):
    shown = probe("train", "--help").flat
    for field in fields(TrainConfig):
        flag = {"learning_rate": "--lr"}.get(field.name, f"--{field.name.replace('_', '-')}")
        assert f" {flag} " in shown, flag
    assert "Share of the injected numbers that are zeroed at each step. [default: 0.0]" in shown


@pytest.mark.process
def test_options_arrive_as_they_were_given(model, probe, monkeypatch):
    given = "--lr 0.25 --clip-norm none --method prefix_tuning --projection --patience 3 --seed 7"
    monkeypatch.setattr(
        "sys.executable", "/bin/false"
    )  # no worker: the folder is what is looked at
    probe("train", "--model", model, "--task", "moods", "--data-dir", ".", *given.split())
    (run,) = Workspace().runs
    request = run.config.request
    training = request["training"]
    asked = {"learning_rate": 0.25, "clip_norm": None, "projection": True, "patience": 3, "seed": 7}
    assert {key: training[key] for key in asked} == asked
    assert training["steps"] == 1000 and TrainConfig.from_dict(training).method == "prefix_tuning"
    assert request["model"] == str(model) and os.path.isabs(request["task"])
    assert os.path.isabs(request["data_dir"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a task, or --resume a run"),
        (("--task", "moods", "--method", "magic"), "magic"),
        (("--task", "moods", "--folds", "1"), "folds"),
        (("--task", "moods", "--lr", "fast"), "'--lr': expected a valid number, found 'fast'"),
        (("--task", "moods", "--clip-norm", "tight"), "'--clip-norm'"),
        (("--resume", "mine", "--length", "9"), "a run goes on unchanged"),
        (("--resume", "mine", "--model", "builtin"), "a run goes on unchanged"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_written(arguments, message, probe, home):
    result = probe("train", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err and not (home / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "moods", "--lr", "-1"), "learning_rate must be a number > 0, found -1.0"),
        (("--task", "moods", "--gamma", "1"), "gamma needs a target"),
        (("--task", "moods", "--init", "magic"), "init must be one of text:WORDS"),
        (
            ("--task", "moods", "--folds", "25"),
            "expected 2 to 24 folds of 24 different texts, found 25",
        ),
        (("--task", "no-such-task"), "task no-such-task: expected one of sst2"),
        (("--resume", "nobody"), "no single run nobody"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line_and_leaves_nothing(
    arguments, message, probe, home
):
    result = probe("train", *arguments)
    assert (result.code, result.out) == (1, "")
    assert message in result.err and result.err.count("\n") == 1
    assert not (home / "runs").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            '{"text": "a film", "label": 2}',
            "line 3: expected 'label' to be 0 to 1 or one of yes, no",
        ),
        ('{"text": "a film"}', "line 3: expected a column named 'label'"),
        ('{"text": "a fil', "line 3"),
        ('{"text": "", "label": 1}', "line 3: expected 'text' to be a text that is not empty"),
    ],
)
def test_bad_data_is_refused_with_its_line(row, message, probe, home, tmp_path):
    file = tmp_path / "moods" / "train.jsonl"
    lines = file.read_text().splitlines()
    lines[2] = row
    file.write_text("\n".join(lines))
    result = probe("train", "--task", "moods")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"{file.name}, {message}" in result.err
    assert not (home / "runs").exists()


@pytest.mark.process
def test_help_and_refusals_need_no_torch(tmp_path):
    program = (
        "import sys\n"
        "from probe.cli.main import run\n"
        "try:\n    run(sys.argv[1:])\n"
        "except SystemExit as end:\n    pass\n"
        "sys.stderr.write(str('torch' in sys.modules))\n"
    )
    for arguments in (["train", "--help"], ["train", "--task", "moods", "--lr", "-1"], ["runs"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stderr.endswith("False")


# What is not done as it might seem


@pytest.mark.process
def test_cut_texts_unequal_label_words_and_changed_names_are_said(
    model, tmp_path, probe, check_schema
):
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / "task.toml").write_text('label_words = ["bright", "very dull"]\n')
    rows = [{"text": "the film " * (40 if n < 3 else 1), "label": n % 2} for n in range(12)]
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    asked = ("--model", model, "--task", folder, "--name", "../evil", "--steps", 2, "--length", 3)
    plan = probe("train", *asked, "--dry-run", "--json")
    check_schema("train_plan", plan.json)
    name, words, *cut = plan.json["notes"]
    assert name.startswith("'../evil' is kept as 'evil'")
    assert "differ in tokens (bright 1, very dull 2)" in words
    assert re.match(
        r"\d of 1\d training texts do(es)? not fit the \d\d positions beside the", cut[0]
    )
    assert plan.err.splitlines() == [f"probe: {line}" for line in plan.json["notes"]]

    done = probe("train", *asked, "--json")
    end = json.loads(done.out.splitlines()[-1])
    check_schema("train_end", end)
    assert end["prompts"] == ["evil@1"]
    assert end["notes"][: 2 + len(cut)] == plan.json["notes"]
    assert all(f"probe: {line}\n" in done.err for line in end["notes"])
    assert probe("runs", "show", end["run"], "--json").json["runs"][0]["notes"] == end["notes"]

    again = probe("train", "--resume", end["run"])
    assert again.code == 1 and "it goes on with more steps than its 2" in again.err
    fewer = probe("runs", "resume", end["run"], "--steps", 2)
    assert fewer.code == 1 and "was asked for 2 steps: expected more than these" in fewer.err
    further = probe("train", "--resume", end["run"], "--steps", 5, "--json")
    lines = [json.loads(line) for line in further.out.splitlines()]
    assert [line["step"] for line in lines[:-1]] == [3, 4, 5]
    assert lines[-1]["prompts"] == ["evil@2"]
    assert Workspace().get("evil@2").config["training"]["steps"] == 5


@pytest.mark.process
def test_a_bare_csv_is_trained_on_and_asked_about(model, tmp_path, probe, check_schema):
    rows = tmp_path / "reviews.csv"
    lines = [f"the film w{n}, so {'kind' if n % 2 else 'mean'};{'yes' if n % 2 else 'no'}"
             for n in range(20)]  # fmt: skip
    rows.write_text("\n".join(["review;verdict", *lines]))
    columns = ("--task", rows, "--text-column", "review", "--label-column", "verdict")
    words = ("--label-word", "dull|cold", "--label-word", "warm")
    asked = ("--model", model, *columns, *words, "--template", "{prompt:2}{text} it was")
    plan = probe("train", *asked, "--dry-run", "--json")
    check_schema("train_plan", plan.json)
    assert plan.json["template"] == "{prompt:2}{text} it was"
    assert plan.json["label_words"] == ["dull|cold", "warm"]
    assert (plan.json["train_examples"], plan.json["validation_examples"]) == (18, 2)
    said = f"{rows}: the labels and their words are no → dull, yes → warm"
    assert plan.json["notes"] == [said] and plan.err == f"probe: {said}\n"

    done = probe("train", *asked, "--steps", 2, "--holdout", 0.2, "--name", "mine", "--json")
    assert json.loads(done.out.splitlines()[-1])["prompts"] == ["mine@1"], done.err
    kept = Workspace().get("mine")
    assert kept.config["label_words"] == [["dull", "cold"], "warm"]
    test = probe("evaluate", "mine", *columns, "--json")
    assert test.json["n"] == 20 and test.json["label_words"] == ["dull|cold", "warm"]
    assert any("if on these rows" in line for line in test.json["notes"])
    aside = probe("evaluate", "mine", *columns, "--split", "validation", "--json")
    assert aside.json["n"] == 4
    missing = probe("train", *asked, "--template", "{prompt:2}{body} it was", "--dry-run")
    assert missing.code == 1 and missing.err.count("\n") == 1
    assert "expected a column named 'body', found 'review', 'verdict'" in missing.err


def test_a_label_word_that_begins_another_is_refused_before_there_is_a_run(tmp_path, probe, home):
    task = tmp_path / "moods" / "task.toml"
    task.write_text('label_words = ["good", "good enough"]\n')
    result = probe("train", "--model", "builtin", "--task", task, "--steps", 2)
    assert result.code == 1 and result.err.count("\n") == 1
    assert "the label word 'good' begins 'good enough', which can therefore never" in result.err
    assert not (home / "runs").exists()
