"""The study of readings: prompts distilled from known texts, read, and counted."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from probe.errors import DataError, ProbeError, PromptFormatError
from probe.formats import save
from probe.prompt import SoftPrompt
from probe.readings.hit_rates import rates_on
from probe.requests import BenchReadingsRequest
from probe.store import Workspace, queued
from probe.studies.known import Condition, known_of, known_points
from probe.tables import load_vocabulary
from probe.verbs.benching import bench_readings, bench_readings_config
from probe.verbs.reading import read
from probe.verbs.training import runs

TEXTS = [
    {"text": "kind warm calm sweet", "words": ["kind", "warm"], "kind": "mood"},
    {"text": "poor cold harsh sour", "words": ["poor", "cold"], "kind": "mood"},
    {"text": "song day film soup", "words": ["song", "film"], "kind": "thing"},
    {"text": "w3 w5 w7 w9", "words": ["w3", "w5"], "kind": "thing"},
]
CONTEXTS = ["the film was", "very cold soup", "so quite", "a day", "it was w3", "song and day"]
PURE = "nearest,displacement,sparse"


@pytest.fixture
def files(tmp_path):
    texts, contexts = tmp_path / "texts.jsonl", tmp_path / "contexts.txt"
    texts.write_text("".join(f"{json.dumps(one)}\n" for one in TEXTS))
    contexts.write_text("\n".join(CONTEXTS))
    return {"texts": texts, "contexts": contexts}


@pytest.fixture
def asked(model, files, tmp_path):
    return {
        "model": model, "steps": [10], "length": [2], "lr": [0.3], "seeds": 1, "device": "cpu",
        "workspace": tmp_path / "home", **files,
    }  # fmt: skip


def rate(found, condition, reading, scorer="overlap"):
    return next(
        one
        for one in found.rates
        if (one.condition, one.reading, one.scorer, one.share_explained)
        == (condition, reading, scorer, None)
    )


@pytest.mark.slow
def test_texts_are_distilled_read_and_counted_and_the_rates_stand_beside_readings(asked, tmp_path):
    result = bench_readings(
        **asked, readings=f"{PURE},promoted", control=["nothing"], init=["vocab", "random"],
        write=tmp_path / "rates.json", table=tmp_path / "rates.md",
    )  # fmt: skip
    found = result.found
    own, shown = "length_2+rate_0.3+steps_10", result.to_json()
    assert {one.condition for one in found.rates} == {
        "check", own, f"nothing+{own}", "length_2+start_random+rate_0.3+steps_10",
    }  # fmt: skip
    assert rate(found, "check", "the text itself").top1.value == 1
    assert rate(found, own, "promoted").prompts == 4 == rate(found, own, "promoted").texts
    assert {one.text for one in found.prompts} == {one["text"] for one in TEXTS}
    assert all(one.share_explained is not None for one in found.prompts)
    assert found.kinds_of == own and set(found.kinds["displacement"]) == {"mood", "thing"}
    assert result.headline()[0].endswith(f"over 4 prompts of the condition {own}.")
    assert result.figures() and len(result.to_frame()) == len(found.rates)
    assert json.loads((tmp_path / "rates.json").read_text())["rates"] == shown["rates"]
    assert f"| {own} | displacement | overlap | 4 |" in (tmp_path / "rates.md").read_text()
    assert not any("promoted" in note for note in found.notes)


@pytest.mark.slow
def test_the_same_study_again_trains_and_reads_nothing_and_says_the_same(asked, monkeypatch):
    first = bench_readings(**asked, readings=PURE)
    monkeypatch.setattr("probe.studies.executor.work", None)
    again = bench_readings(**asked, readings=PURE)
    assert again.to_json()["rates"] == first.to_json()["rates"]
    with pytest.raises(TypeError):  # another reading is work
        bench_readings(**asked, readings=f"{PURE},ask")


@pytest.mark.slow
def test_rates_of_ones_own_model_stand_beside_its_readings(asked, model, tmp_path):
    found = bench_readings(**asked | {"length": [8]}, readings="nearest,displacement").found
    home = Workspace(tmp_path / "home")
    prompt = found.prompts[0].prompt
    own = next(one for one in found.rates if one.condition != "check" and one.scorer == "overlap")
    assert rates_on(load_vocabulary(model), home)[0]["rates"]
    assert (
        read(prompt, model, workspace=home).readings[0].hit_rate is None
    )  # another rate than usual
    usual = bench_readings(
        **asked | {"length": [8], "lr": [0.02], "steps": [60], "limit": 2}, readings="nearest"
    ).found
    told = read(prompt, model, workspace=home).readings
    assert told[0].hit_rate.texts == 2 and told[0].hit_rate.condition == "base"
    assert told[0].hit_rate.top1 == rate(usual, "base", "nearest").top1.value
    assert told[1].hit_rate is None and own.prompts == 4
    assert read(prompt, model, workspace=tmp_path / "other").readings[0].hit_rate is None


def test_fewer_texts_counted_later_do_not_replace_more(asked, model, tmp_path):
    few, many = ({**asked, "length": [8], "lr": [0.02], "steps": [2]} for _ in range(2))
    home, vocabulary = Workspace(tmp_path / "home"), load_vocabulary(model)

    def counted():
        (kept,) = rates_on(vocabulary, home)
        return {one["texts"] for one in kept["rates"] if one["condition"] == "steps_2"}

    bench_readings(**many, readings="nearest")
    bench_readings(**few | {"limit": 2}, readings="nearest")
    assert counted() == {4}


@pytest.mark.slow
def test_prompts_distilled_before_are_read_and_none_is_trained(asked, tmp_path):
    first = bench_readings(**asked, readings="displacement", control=["nothing", "shuffled"])
    other = asked | {"workspace": tmp_path / "other"}
    again = bench_readings(
        **other, readings="displacement", distilled=[first.folder / "prompts"]
    ).found
    assert {one.condition for one in again.prompts} == {
        one.condition for one in first.found.prompts
    }
    for condition in {one.condition for one in again.prompts}:
        here, there = (rate(one, condition, "displacement") for one in (again, first.found))
        assert here.top1 == there.top1
    stranger = tmp_path / "stranger.safetensors"
    save(SoftPrompt("p", np.ones((2, 16), np.float32)), stranger, to="safetensors")
    with pytest.raises(PromptFormatError, match="expected a prompt whose file names the text"):
        bench_readings(**other, distilled=[stranger])
    with pytest.raises(PromptFormatError, match="or a folder of them, found none"):
        bench_readings(**other, distilled=[tmp_path / "nowhere"])


def test_rows_distilled_as_mixtures_are_read_as_the_texts_they_narrowed_to(asked, tmp_path):
    first = bench_readings(**asked, readings="mixture,displacement", method="mixture", limit=2)
    (condition,) = {one.condition for one in first.found.prompts}
    assert condition == "method_mixture+length_2+rate_0.3+steps_10"
    assert rate(first.found, condition, "mixture").prompts == 2
    again = bench_readings(
        **asked | {"workspace": tmp_path / "other"}, readings="mixture",
        distilled=[first.folder / "prompts"],
    ).found  # fmt: skip
    assert {one.condition for one in again.prompts} == {condition}


def test_a_condition_is_named_by_what_differs_from_the_usual_distillation():
    unrelated = "text:The office on the second floor will be closed until further notice."
    assert Condition().name == "base"
    assert Condition(length=20).name == "length_20"
    assert Condition(learning_rate=0.05, steps=30).name == "rate_0.05+steps_30"
    assert Condition(init=unrelated).name == "start_text"
    assert Condition(init="text:other").name == "start_text:other"
    assert Condition(control="nothing").name == "nothing"
    assert Condition(method="mixture", learning_rate=0.3).name == "method_mixture+rate_0.3"


def test_each_further_value_is_a_condition_of_its_own_and_every_text_has_its_own_start(asked):
    config = bench_readings_config(
        BenchReadingsRequest(
            **asked | {"length": [8, 1, 20], "lr": [0.02, 0.05], "steps": [60], "seeds": 2},
            init=["vocab", "unrelated"], control=["nothing"],
        )
    )  # fmt: skip
    study, _ = known_of(config.request)
    names = [one.name for one in study.conditions]
    assert names == ["base", "length_1", "length_20", "rate_0.05", "start_text", "nothing"]
    points = known_points(study)
    assert len(points) == 6 * 4 * 2
    base = [one.spec.config.seed for one in points if one.condition == "base"]
    assert len(set(base)) == 8
    few = dataclasses.replace(study, texts=study.texts[2:])
    assert {one.spec for one in known_points(few)} <= {one.spec for one in points}


def test_a_study_of_readings_stands_among_the_runs(asked):
    workspace = Workspace(asked["workspace"])
    workspace.jobs.create(bench_readings_config(**asked), queued())
    (run,) = runs(workspace)
    assert (run.kind, run.model, run.task) == ("readings", asked["model"], "distilled")
    assert run.headline()


def test_what_cannot_be_done_is_refused_before_anything_is_made(asked, tmp_path):
    with pytest.raises(ValueError, match="expected one of the readings .*found 'lense'"):
        bench_readings(**asked, readings="lense")
    with pytest.raises(
        ValueError, match="control must be one of nothing, shuffled, found 'labels'"
    ):
        bench_readings(**asked, control="labels")
    with pytest.raises(ProbeError, match="rates.txt: expected a table that ends in .md or .csv"):
        bench_readings(**asked, table=tmp_path / "rates.txt")
    with pytest.raises(ValueError, match="method must be prompt_tuning.* found 'prefix_tuning'"):
        bench_readings(**asked, method="prefix_tuning")
    with pytest.raises(ProbeError, match="init must be one of"):
        bench_readings(**asked, init="somewhere")
    with pytest.raises(ProbeError, match="is an encoder, which writes no text"):
        bench_readings(**asked | {"model": "minilm"})
    with pytest.raises(DataError, match="JSON-lines file"):
        bench_readings(**asked | {"texts": tmp_path / "none.jsonl"})
    (tmp_path / "there.json").write_text("mine")
    with pytest.raises(ProbeError, match="is there already"):
        bench_readings(**asked, write=tmp_path / "there.json")
    assert not (tmp_path / "home").exists()
