"""The Waywardness page: a study of its own process, its answer first, its prompts in Decode."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from probe import jobs, verbs
from probe.jobs.processes import process_start_time
from probe.store import JobConfig, JobFolder, Status, Workspace
from tests.app.conftest import strips_of
from tests.trainable import write_task
from tests.waiting import LONGEST_S, until

Open = Callable[..., AppTest]


def _config(model: str, task: str) -> JobConfig:
    config = verbs.wayward_config(
        [model], [task], ["text:soup it", "text:the film was"], gamma=[0.01, 20], seeds=2,
        steps=4, batch_size=4, device="cpu",
    )  # fmt: skip
    return dataclasses.replace(config, command=("probe", "wayward"))


@pytest.fixture
def study(workspace: Workspace, model: str, task: str) -> JobFolder:
    verbs.study_run(_config(model, task), workspace=workspace)
    (found,) = workspace.studies
    return found


def _texts(at: AppTest) -> str:
    return " ".join(one.value for one in at.markdown)


def _command(at: AppTest) -> str:
    """Of the form, which stands below the study that is shown."""
    return [one.value for one in at.code if one.value.startswith("probe wayward --")][-1]


@pytest.mark.slow
def test_a_first_visit_shows_a_finished_study_and_offers_a_form_that_works(
    open_page: Open,
) -> None:
    at = open_page("waywardness")
    assert at.subheader[0].value.startswith(
        "On opinion, started at sampled tokens, a prompt constrained"
    )
    assert "not solved" not in _texts(at) and "This study comes with probe" in _texts(at)
    assert at.button(key="w_open") and len(strips_of(at)) == 2
    assert "--task opinion" in at.code[0].value and "--model builtin" in at.code[0].value
    assert not at.error
    assert "runs, 8 at a time." in " ".join(one.value for one in at.caption)
    words = "--targets instructions --target-count 2 --gamma 0.1,1,10 --seeds 1"
    assert words in _command(at)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("w_gamma", "much", "γ must be numbers"),
        ("w_gamma", "-1", "gamma must be a number"),
        ("w_gamma", " , 0", "needs a γ above 0"),
        ("w_tasks", [], "at least one task"),
        ("w_sets", [], "at least one text or set"),
    ],
)
def test_fields_that_make_no_study_are_one_line(
    open_page: Open, key: str, value: object, message: str
) -> None:
    at = open_page("waywardness", state={key: value})
    assert len(at.error) == 1
    assert message in at.error[0].value.replace("\\", "")
    assert not [one for one in at.button if one.label == "Start the study"]


def test_the_count_is_for_sets_and_a_text_of_ones_own_is_a_line(open_page: Open) -> None:
    own = "soup it\none\u2028two\n\nthe film"
    at = open_page("waywardness", state={"w_own": own, "w_count": 1, "w_gamma": "5"})
    assert not at.error
    assert "--target-count 1 " in _command(at)
    assert _command(at).count("text:") == 3 and "one\u2028two" in _command(at)
    assert "16 runs, 8 at a time." in " ".join(one.value for one in at.caption)


def test_a_finished_study_answers_first_and_shows_table_curves_and_prompts(
    open_page: Open, study: JobFolder
) -> None:
    at = open_page("waywardness", study=study.id)
    assert at.subheader[0].value.startswith("On moods, started at sampled tokens, ")
    assert "the task is not solved" in at.subheader[0].value  # after four steps
    assert "without a prompt" in at.subheader[0].value
    assert "started at the target text, the task is not solved" in at.markdown[0].value
    assert "2 texts, 2 seeds each" in at.markdown[1].value
    table = at.dataframe[0].value
    assert list(table["solved"]) == ["no", "no"] and all(table["no prompt"].astype(float) >= 0)
    assert all(value.endswith("]") for value in table["accuracy change"])
    assert list(table["start"]) == ["sampled tokens", "the target text"]
    assert all("[" in value for value in table["accuracy, γ = 0"])
    assert len(at.get("plotly_chart")) == 2
    curves = json.loads(at.get("plotly_chart")[0].proto.spec)["data"]
    assert {trace["name"] for trace in curves} == {"from sampled tokens", "from the target text"}
    assert len(at.dataframe[1].value) == 4
    assert [one.label for one in at.get("download_button")] == [
        "CSV", "JSON", "Parquet", "HTML report"
    ]  # fmt: skip
    assert "see" in at.query_params
    target, decoded = strips_of(at)
    assert len(target) == len(decoded) > 0
    assert "the prompt decodes to" in target[0][1] and "Gaussian control" in decoded[0][1]


@pytest.mark.slow
def test_a_prompt_of_any_gamma_opens_in_decode_and_is_kept_once(
    open_page: Open, study: JobFolder, workspace: Workspace
) -> None:
    at = open_page("waywardness")
    at.button(key="w_open").click().run()
    assert not at.exception
    assert at.title[0].value == "Decode"
    (card,) = workspace.list("wayward")
    assert at.session_state["p"] == [card.id]
    assert at.session_state["m"] == "l2"
    at.switch_page("dashboard/waywardness/page.py").run()
    at.button(key="w_open").click().run()
    assert [one.id for one in workspace.list("wayward")] == [card.id]


def test_the_address_leads_back_to_a_text(open_page: Open, study: JobFolder) -> None:
    at = open_page("waywardness")
    slot = at.selectbox(key=f"w_text_{study.id}")
    other = slot.options[-1]
    slot.set_value(slot.options[-1]).run()
    see = at.query_params["see"]
    again = open_page("waywardness", study=study.id, see=see)
    assert again.selectbox(key=f"w_text_{study.id}").options[-1] == other
    assert again.selectbox(key=f"w_text_{study.id}").index == len(slot.options) - 1


def test_a_study_at_work_shows_how_far_it_is_and_takes_no_second_one(
    open_page: Open, workspace: Workspace, model: str, task: str
) -> None:
    status = Status(
        "running", time.time(), pid=os.getpid(), started=process_start_time(os.getpid()),
        activity="training", step=8, loss_nats=1.5, eta_s=65.0,
        metrics={"runs": 24, "found": 0, "packs": 3, "pack_step": 2, "pack_steps": 4},
    )  # fmt: skip
    study = workspace.studies.create(_config(model, task), status)
    at = open_page("waywardness")
    assert "Step 2 of 4 of this batch, loss 1.500 nats, about 1 min 5 s left." in _texts(at)
    assert at.button(key=f"cancel_{study.id}")
    assert at.button(key="w_begin").disabled
    study.write(dataclasses.replace(status, activity="scoring", loss_nats=None, eta_s=None))
    assert "Trained this batch; scoring 2 of 4." in _texts(at.run())


def test_a_killed_study_says_so_and_can_go_on(
    open_page: Open, workspace: Workspace, model: str, task: str
) -> None:
    dead = Status("running", time.time(), pid=1, started="another boot", step=8)
    study = workspace.studies.create(_config(model, task), dead)
    at = open_page("waywardness")
    assert "Interrupted at run 8: the worker died." in _texts(at)
    assert at.button(key=f"resume_{study.id}")


def test_an_address_of_a_study_that_is_gone_shows_the_newest(
    open_page: Open, study: JobFolder
) -> None:
    at = open_page("waywardness", study="nobody")
    assert "no study nobody" in at.error[0].value
    assert at.query_params["study"] == study.id


@pytest.mark.process
def test_start_makes_a_process_that_finishes(
    open_page: Open, workspace: Workspace, model: str
) -> None:
    write_task(workspace.root / "tasks" / "moods")
    at = open_page(
        "waywardness",
        state={"w_model": model, "w_steps": 3, "w_sets": [], "w_own": "soup it", "w_gamma": "5"},
    )
    assert "--targets 'text:soup it'" in _command(at)
    at.button(key="w_begin").click().run(timeout=LONGEST_S)
    assert not at.error
    (study,) = workspace.studies
    assert at.query_params["study"] == study.id
    until(lambda: not jobs.view(workspace, study).active)
    at.run()
    assert "On moods, started at sampled tokens" in at.subheader[0].value, study.log.read_text()
    assert " ".join(study.config.command) in _command(at).replace("'", "")


def test_a_study_from_before_the_model_alone_was_kept_opens_and_says_so(
    open_page: Open, study: JobFolder
) -> None:
    new = ["zero_shot_accuracy", "majority_accuracy", "accuracy_low", "accuracy_high", "gain_low",
           "gain_high"]  # fmt: skip
    pd.read_parquet(study.results).drop(columns=new).to_parquet(study.results)
    at = open_page("waywardness", study=study.id)
    assert "constrained to a text" in at.subheader[0].value
    assert "Whether the task is solved is not known" in _texts(at)
    assert list(at.dataframe[0].value["solved"]) == ["not known", "not known"]


def test_without_intervals_no_brackets_are_announced(open_page: Open, study: JobFolder) -> None:
    frame = pd.read_parquet(study.results)
    one = frame[(frame["seed"] == 0) & (frame["target"] == "soup it")]
    one.to_parquet(study.results)
    at = open_page("waywardness", study=study.id)
    assert not any("brackets hold" in caption.value for caption in at.caption)
