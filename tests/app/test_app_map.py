from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.map.points import point_of, selection_table, tokens_with
from dashboard.shared.side_jobs import SideJob, _jobs, draw_job, job_of, start_job
from probe.analysis.maps import Map
from probe.analysis.starts import changes_since_start
from probe.jobs.processes import is_alive, process_start_time
from probe.prompt import KVPrefix, SoftPrompt
from probe.store import Workspace
from probe.verbs.comparing import map as lay_out
from probe.verbs.decoding import decode, vocabulary_of
from probe.verbs.loading import load as load_prompt
from tests.hostile import HOSTILE, WIDTH, prompt_rows, write_hostile_model
from tests.waiting import LONGEST_S, until

Open = Callable[..., AppTest]


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(write_hostile_model(tmp_path / "model"))


@pytest.fixture
def two(workspace: Workspace, model: str) -> list[str]:
    """A prompt on hostile tokens, and one in a direction of its own."""
    own = np.random.default_rng(0).standard_normal((4, WIDTH)) * 0.1 + 9
    workspace.save(SoftPrompt("hostile", prompt_rows(), base_model=model))
    workspace.save(SoftPrompt("apart", own, base_model=model))
    return ["apart@1", "hostile@1"]


@pytest.fixture
def mapped(two: list[str]) -> Map:
    return lay_out(two)


def _figure(at: AppTest) -> dict[str, object]:
    return json.loads(at.get("plotly_chart")[0].proto.spec)


def test_the_answer_counts_in_the_original_space(open_page: Open, two: list[str]) -> None:
    at = open_page("map", p="apart@1")
    assert at.subheader[0].value == (
        "4 of 4 prompt rows lie nearer to another prompt row than to any token."
    )
    assert "not on the map" in at.markdown[0].value
    assert any("2-D distances are not meaningful" in m.value for m in at.markdown)
    assert any("Trustworthiness" in c.value and "sampled rows" in c.value for c in at.caption)


def test_the_address_restores_point_metric_and_projection(
    open_page: Open, two: list[str], mapped: Map
) -> None:
    at = open_page("map", p=two, at="p:1:2", m="l2", seed="7")
    assert at.selectbox(key="look").value == "p:1:2"
    assert at.segmented_control(key="m").value == "l2"
    assert any("L2 distance" in c.value for c in at.caption)
    assert any("L2 distance, seed 7" in c.value.replace("\\", "") for c in at.caption)
    near = at.dataframe[0].value
    assert near["token"][0] == mapped.vocabulary.tokens[2]
    assert list(near["score"]) == sorted(near["score"])


def test_the_dot_product_ranks_neighbours_and_leaves_the_map_untouched(
    open_page: Open, two: list[str]
) -> None:
    at = open_page("map", p=two, at="p:0:1")
    before, near = at.get("plotly_chart")[0].proto.spec, list(at.dataframe[0].value["score"])
    at.segmented_control(key="m").set_value("dot").run()
    assert list(at.dataframe[0].value["score"]) != near
    at.selectbox(key="look").set_value("p:1:0").run()
    assert at.get("plotly_chart")[0].proto.spec == before


def test_a_search_rings_tokens_and_looks_at_the_best(open_page: Open, two: list[str]) -> None:
    at = open_page("map", p=two)
    at.text_input(key="q").set_value("STARS").run()
    assert any(m.value.startswith("1 token contains **STARS**") for m in at.markdown)
    assert at.selectbox(key="look").value == f"v:{HOSTILE.index('**stars**')}"
    assert _figure(at)["data"][-1]["name"] == "found"
    assert HOSTILE[3] not in set(at.dataframe[0].value["token"])  # it is no neighbour of itself


def test_a_lassoed_set_is_a_table_with_neighbours(mapped: Map) -> None:
    table = selection_table(mapped, ["v:3", "p:1:0", "p:9:9", "v:999"])
    assert list(table["prompt"].fillna("")) == ["hostile@1", ""]
    assert table["token"][1] == mapped.vocabulary.tokens[3]
    assert table["nearest"][0].split("  ")[0] == mapped.vocabulary.tokens[0]
    np.testing.assert_allclose(table["x"][1], mapped.background[3, 0])


@pytest.mark.parametrize("bad", [None, "", "p:1", "p:9:0", "v:64", "v:-1", "v:²", "x:1", "p:a:b"])
def test_an_address_that_names_no_point_is_no_point(mapped: Map, bad: str | None) -> None:
    assert point_of(mapped, bad) is None


def test_what_was_picked_among_other_prompts_is_forgotten(open_page: Open, two: list[str]) -> None:
    at = open_page("map", p=two, at="p:0:1")
    at.session_state["lassoed"] = ["p:0:1", "p:0:2"]
    at.run()
    assert any("2 points selected" in one.value for one in at.markdown)
    assert at.selectbox(key="look").value == "p:0:1"
    at.session_state["p"] = two[1:]
    at.run()
    assert not any("points selected" in one.value for one in at.markdown)
    assert at.selectbox(key="look").value is None
    assert "at" not in at.query_params


def test_searching_finds_short_tokens_first(mapped: Map) -> None:
    assert tokens_with(mapped.vocabulary, "word1")[:2] == [
        mapped.vocabulary.tokens.index("word1"), mapped.vocabulary.tokens.index("word10")
    ]  # fmt: skip
    assert tokens_with(mapped.vocabulary, "  ") == []


@pytest.mark.slow
def test_what_is_known_of_prompts_colours_the_map(open_page: Open) -> None:
    chosen = ["sst2-text", "opinion-vocab", "mood-text"]
    at = open_page("map", p=chosen, colour="task")
    assert {one["name"] for one in _figure(at)["data"] if "name" in one} >= {"sst2", "mood"}
    at.selectbox(key="colour").set_value("start").run()
    names = {one["name"] for one in _figure(at)["data"] if "name" in one}
    assert names >= {"text", "vocab"}
    assert "mood" not in names


def test_words_stand_on_the_map_and_hovering_names_tokens(open_page: Open) -> None:
    figure = _figure(open_page("map", p=["sst2-text", "opinion-vocab"]))
    words = [one["text"] for one in figure["layout"]["annotations"]]
    assert 15 <= len(words) <= 40
    assert all(word.isalpha() for word in words)
    assert len({(one["x"], one["y"]) for one in figure["layout"]["annotations"]}) == len(words)
    stars = [one for one in figure["data"] if one.get("marker", {}).get("symbol") == "star"]
    assert all("customdata[0]" not in one.get("hovertemplate", "") for one in figure["data"])
    nearest = decode("sst2-text").positions[0].neighbours[0].token
    assert stars[0]["customdata"][0][3].startswith(nearest)


def test_clusters_colour_the_map_and_are_named(open_page: Open, two: list[str]) -> None:
    at = open_page("map", p=two, colour="cluster")
    names = {trace["name"] for trace in _figure(at)["data"] if "name" in trace}
    assert any(name.startswith("0: ") for name in names)
    assert any("clusters** by k-means" in m.value for m in at.markdown)


@pytest.mark.process
def test_a_slow_projection_begins_at_once_and_is_offered_again_when_cancelled(
    open_page: Open, two: list[str]
) -> None:
    at = open_page("map", p=two, proj="tsne")
    assert any("PCA of" in c.value for c in at.caption)
    (job,) = (job for asked, job in _jobs().items() if "tsne" in asked)
    at.button(key="cancel_t-SNE").click().run()
    with job.process, job.complaints:
        assert job.cancelled
    at.run()  # it has ended by now
    assert any(b.label == "Compute t-SNE" for b in at.button)
    lay_out(two, "tsne")
    at.run()
    assert not any(b.label == "Compute t-SNE" for b in at.button)
    assert any(c.value.startswith("t\\-SNE of") for c in at.caption)


def _ended(arguments: tuple[str, ...]) -> SideJob:
    job = job_of(arguments)
    assert job is not None
    job.process.wait(timeout=LONGEST_S)
    return job


@pytest.mark.process
def test_a_job_keeps_its_answer_and_tells_why_it_failed(workspace: Workspace) -> None:
    answer = workspace.root / "cache" / "answer.json"
    start_job(("inspect", "sst2-text", "--json"), answer)
    start_job(("inspect", "nowhere", "--json"))
    _ended(("inspect", "sst2-text", "--json"))
    assert job_of(("inspect", "sst2-text", "--json")) is not None
    assert json.loads(answer.read_text())["prompts"][0]["name"] == "sst2-text"
    assert "nowhere" in _ended(("inspect", "nowhere", "--json")).last_words()


@pytest.mark.process
def test_a_job_that_cannot_start_leaves_no_file(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(workspace.root / "no-python"))
    answer = workspace.root / "cache" / "jobs" / "answer.json"
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        start_job(("inspect", "sst2-text", "--json"), answer)
    assert os.listdir("/proc/self/fd") == before
    assert list(answer.parent.iterdir()) == []


@pytest.mark.process
def test_two_tabs_may_watch_one_job(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryFile() as complaints:
        job = SideJob(subprocess.Popen(["true"]), complaints, None)
        job.process.wait()
        monkeypatch.setattr("dashboard.shared.side_jobs.job_of", lambda _: job)
        assert [draw_job(("map",), "PCA", 1.0) for _ in range(2)] == [False, False]


ENDING = """
from dashboard.shared.side_jobs import job_of, start_job
start_job(("map", "--method", "umap", "sst2-text"))
print(job_of(("map", "--method", "umap", "sst2-text")).process.pid)
"""


@pytest.mark.process
def test_jobs_end_with_the_server(workspace: Workspace) -> None:
    path = os.pathsep.join([str(Path.cwd() / "app"), str(Path.cwd())])
    done = subprocess.run(
        [sys.executable, "-c", ENDING], env=os.environ | {"PYTHONPATH": path},
        check=True, capture_output=True, text=True, timeout=LONGEST_S,
    )  # fmt: skip
    pid = int(done.stdout)
    until(lambda: not is_alive(pid, process_start_time(pid)))


def test_prompts_that_do_not_fit_are_left_out_with_the_reason(
    open_page: Open, two: list[str], workspace: Workspace
) -> None:
    workspace.save(SoftPrompt("wide", np.ones((2, 30)), base_model="builtin"))
    zeros = np.zeros((1, 1, 2, 4))
    workspace.save(KVPrefix("prefix", zeros, zeros, base_model="builtin"))
    at = open_page("map", p=[*two, "wide@1", "prefix@1"])
    said = [c.value.replace("\\", "") for c in at.caption]
    assert any("wide@1, which was trained on builtin" in line for line in said)
    assert any("prefix@1, which is a key/value prefix" in line for line in said)
    assert not at.error


def test_a_prefix_alone_has_nothing_to_map(open_page: Open, workspace: Workspace) -> None:
    zeros = np.zeros((1, 1, 2, 4))
    workspace.save(KVPrefix("prefix", zeros, zeros, base_model="builtin"))
    at = open_page("map", p="prefix@1")
    assert "key/value prefix" in at.info[0].value
    assert not at.get("plotly_chart")


@pytest.mark.slow
def test_no_prompt_leads_to_the_library(open_page: Open) -> None:
    at = open_page("map")
    at.multiselect(key="p").set_value([]).run()
    assert at.info[0].value.startswith("No prompt is chosen")


def test_hostile_tokens_reach_the_map_as_text(open_page: Open, two: list[str]) -> None:
    at = open_page("map", p=two, at="v:0", q="<")
    for chart in at.get("plotly_chart"):
        assert "<script" not in chart.proto.spec
        assert "<b>bold" not in chart.proto.spec
    assert HOSTILE[0] in at.selectbox(key="look").options[0] or at.selectbox(key="look").value


@pytest.mark.slow
def test_rows_are_mapped_by_position_or_by_what_training_changed(open_page: Open) -> None:
    both = ["opinion-vocab", "agnews-vocab"]
    at = open_page("map", p=both)
    alike = "1 of 1 pair of prompts began from some of the same tokens"
    assert alike in at.markdown[0].value
    by_position = _figure(at)["data"][-1]
    at.segmented_control(key="of").set_value("displacement").run()
    assert not at.exception and alike not in at.markdown[0].value
    assert any("what training changed in 40 prompt rows" in one.value for one in at.caption)
    assert _figure(at)["data"][-1]["x"] != by_position["x"]
    prompt = load_prompt(both[0])[0]
    table = vocabulary_of(prompt, None)
    mapped = lay_out(both, change=True)
    np.testing.assert_array_equal(mapped.rows[:20], changes_since_start(prompt, table))
