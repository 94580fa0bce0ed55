"""Runs to take along: what was asked, what was noted, and nothing that runs."""

from __future__ import annotations

import dataclasses
import html
import io
import json

import pandas as pd
import pytest

from probe import verbs
from probe.analysis.gains import score_sentence
from probe.charts import curves
from probe.errors import WorkspaceError
from probe.store import Workspace
from probe.verbs.run_exports import (
    differing_settings,
    run_record,
    runs_csv,
    runs_html,
    runs_json,
    steps_csv,
)
from tests.trainable import LIGHT, write_model, write_task

STEPS = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run with a label that a page must not take for markup."""
    folder = tmp_path_factory.mktemp("runs")
    workspace = Workspace(folder / "home")
    model, task = write_model(folder / "model"), write_task(folder / "task")
    config = {**LIGHT, "steps": STEPS, "seed": 5}
    verbs.train(model, task, config, name="mine", workspace=workspace)
    (run,) = verbs.runs(workspace=workspace)
    verbs.rename_run(run.run, "<script>alert(1)</script>", workspace=workspace)
    return run_record(run.run, workspace=workspace)


@pytest.mark.process
def test_a_row_has_settings_score_and_sample_size(trained):
    (row,) = pd.read_csv(io.StringIO(runs_csv([trained]))).to_dict("records")
    assert (row["state"], row["seed"], row["steps"], row["length"]) == ("finished", 5, STEPS, 3)
    assert row["score"] == pytest.approx(trained.score[1])
    assert row["metric"] == trained.score[0] and row["examples"] > 0
    low, high = trained.view.metrics[f"{row['metric']}_gain_interval"]
    assert (row["gain_low"], row["gain_high"]) == pytest.approx((low, high))
    assert row["zero_shot"] == pytest.approx(trained.score[2])


@pytest.mark.process
@pytest.mark.parametrize("label", ["=1+1", "+1", "-cmd", "@SUM(A1)", "quite - harmless"])
def test_a_label_that_begins_like_a_formula_is_text_in_a_spreadsheet(label, trained):
    named = dataclasses.replace(trained, view=dataclasses.replace(trained.view, label=label))
    (row,) = pd.read_csv(io.StringIO(runs_csv([named]))).to_dict("records")
    assert row["label"] == (label if label[0].isalpha() else f"'{label}")
    assert row["seed"] == 5 and row["score"] == pytest.approx(trained.score[1])
    assert json.loads(runs_json([named]))["runs"][0]["run"]["label"] == label


@pytest.mark.process
def test_settings_that_differ_are_named_with_their_values(trained):
    config = trained.config
    training = {**trained.training, "seed": 6, "gamma": 0.5}
    other = dataclasses.replace(config, request={**config.request, "training": training})
    runs = [trained, dataclasses.replace(trained, config=other)]
    assert differing_settings(runs) == {"seed": [5, 6], "gamma": [0.0, 0.5]}
    assert differing_settings(runs[:1]) == differing_settings([]) == {}


@pytest.mark.process
def test_every_noted_step_is_a_row(trained):
    steps = pd.read_csv(io.StringIO(steps_csv([trained])))
    assert len(steps) == len(trained.records)
    assert set(steps["run"]) == {trained.view.run} and set(steps["seed"]) == {5}
    losses = [record["loss_nats"] for record in trained.records]
    assert steps["loss_nats"].tolist() == pytest.approx(losses)


@pytest.mark.process
def test_the_document_holds_everything(trained):
    (run,) = json.loads(runs_json([trained]))["runs"]
    assert run["config"]["training"]["seed"] == 5
    assert run["records"] == json.loads(json.dumps(list(trained.records)))


@pytest.mark.process
def test_the_page_shows_a_curve_and_takes_names_for_text(trained):
    page = runs_html([trained])
    assert "<polyline" in page and trained.view.run in page
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    ends = curves("", trained.records).loss_nats.smoothed().values[[0, -1]]
    assert "from {:.3f} to {:.3f} nats".format(*ends) in page
    assert "<dt>dropout</dt><dd>0.0</dd>" in page
    asked = dataclasses.replace(trained.config, command=("probe", "train", "a b"))
    page = runs_html([dataclasses.replace(trained, config=asked)])
    assert "probe train 'a b'" in html.unescape(page)


@pytest.mark.process
def test_the_page_says_of_scores_what_other_places_say(trained):
    told = score_sentence(trained.view.metrics)
    assert "(95 % interval" in told and ", gain " in told
    assert told in runs_html([trained])
    assert "best of 2, chosen on the same test examples" in runs_html([trained, trained])


def test_a_run_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(WorkspaceError, match="nothing-like-it"):
        run_record("nothing-like-it", workspace=Workspace(tmp_path))
