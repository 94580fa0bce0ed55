from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from transformers import AutoModelForCausalLM

from dashboard.shared import resources
from dashboard.shared.side_jobs import answer_path
from probe import verbs
from probe.analysis.gains import signed
from probe.prompt import SoftPrompt
from probe.reports.headlines import decoding_headline
from probe.store import Workspace
from probe.verbs.decoding import decode
from tests.app.conftest import APP, strips_of
from tests.hostile import HOSTILE, prompt_rows, write_hostile_model
from tests.trainable import write_task

Open = Callable[..., AppTest]


def _figure(at: AppTest, number: int) -> dict[str, object]:
    return json.loads(at.get("plotly_chart")[number].proto.spec)


def _numbers(values: object) -> list[float]:
    if isinstance(values, dict):
        return list(np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]))
    return list(values)


@pytest.mark.slow
def test_the_honest_answer_comes_first(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text")
    expected = decode("sst2-text")
    noise = expected.count("not better than chance")
    assert noise == 20
    said = [one.value for one in at.subheader]
    assert "what they learned points to" in said[0]
    first = "None of the 20 positions is closer to a token than the Gaussian control is."
    assert f"**{first}**" in [one.value for one in at.markdown]
    assert " ".join(decoding_headline(expected)[1:]) in [one.value for one in at.markdown]


def test_the_table_is_the_decoding(open_page: Open) -> None:
    table = open_page("decode", p="opinion-vocab").dataframe[0].value
    expected = decode("opinion-vocab")
    assert list(table["token"]) == [p.neighbours[0].token for p in expected.positions]
    assert list(table["score"]) == [p.neighbours[0].score for p in expected.positions]
    assert list(table["chance"]) == [p.controls.chance for p in expected.positions if p.controls]


@pytest.mark.slow
def test_another_metric_gives_other_scores_and_is_named(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text")
    before = list(at.dataframe[0].value["score"])
    at.segmented_control(key="m").set_value("l2").run()
    assert list(at.dataframe[0].value["score"]) != before
    assert any("L2 distance" in one.value for one in at.caption)


@pytest.mark.slow
def test_the_address_restores_the_view(open_page: Open) -> None:
    at = open_page("decode", p="agnews-vocab", m="dot", k="3", sel="7", q="the", f=["words"])
    expected = decode("agnews-vocab", metric="dot", k=3, filter=["words"])
    table = at.dataframe[0].value
    assert list(table["token"]) == [p.neighbours[0].token for p in expected.positions]
    assert "#3" in table
    assert "#4" not in table
    assert at.selectbox(key="sel").value == 7
    assert at.text_input(key="q").value == "the"


def test_a_position_beyond_the_prompt_falls_back_to_the_first(
    open_page: Open, workspace: Workspace
) -> None:
    rows = np.random.default_rng(0).standard_normal((2, 320))
    workspace.save(SoftPrompt("short", rows, base_model="builtin"))
    at = open_page("decode", p="sst2-text", sel="15")
    assert at.selectbox(key="sel").value == 15
    at.multiselect(key="p").set_value(["short@1"]).run()
    assert not at.exception
    assert not at.error
    assert at.selectbox(key="sel").value == 0


def test_the_map_and_the_bars_show_the_same_position(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text", sel="4")
    cells = _figure(at, 0)["data"][1]["customdata"]
    assert {cell[0] for cell in cells} == set(range(20))
    bars = _numbers(_figure(at, 1)["data"][0]["x"])
    assert bars == [n.score for n in decode("sst2-text").positions[4].neighbours]


def test_picking_a_position_leaves_the_map_untouched(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text")
    before = at.get("plotly_chart")[0].proto.spec
    at.selectbox(key="sel").set_value(9).run()
    assert at.get("plotly_chart")[0].proto.spec == before
    at.button(key="sel_J").click().run()
    assert at.selectbox(key="sel").value == 10
    at.button(key="sel_K").click().run()
    assert at.selectbox(key="sel").value == 9


@pytest.mark.slow
def test_a_search_marks_the_positions_that_hold_the_token(open_page: Open) -> None:
    at = open_page("decode", p="minilm-sst2-text", q="FILM")
    hits = [
        p.position
        for p in decode("minilm-sst2-text").positions
        if any("film" in n.token.lower() for n in p.neighbours)
    ]
    assert hits
    table = at.dataframe[0].value
    assert list(table.loc[table["found"] != "", "position"]) == hits
    unit = "position has" if len(hits) == 1 else "positions have"
    assert any(m.value.startswith(f"{len(hits)} {unit} **FILM**") for m in at.markdown)


@pytest.mark.slow
def test_each_token_once_means_once(open_page: Open) -> None:
    tokens = open_page("decode", p="minilm-agnews-ptuning", one="true").dataframe[0].value["token"]
    assert len(tokens) == 20
    assert not tokens.duplicated().any()


@pytest.mark.parametrize("pattern", ["[", "^no token looks like this$"])
def test_a_filter_that_cannot_work_is_one_line(open_page: Open, pattern: str) -> None:
    at = open_page("decode", p="sst2-text", re=pattern)
    assert len(at.error) == 1
    assert "\n" not in at.error[0].value
    assert not at.dataframe


def test_a_key_value_prefix_is_refused_with_the_reason(open_page: Open) -> None:
    at = open_page("decode", p="subj-prefix")
    assert at.subheader[0].value == "A key/value prefix has no nearest tokens."
    assert "keys and values inside every layer" in at.markdown[0].value
    assert not at.dataframe


def test_a_prompt_without_a_base_model_asks_for_one(open_page: Open, workspace: Workspace) -> None:
    rows = np.random.default_rng(0).standard_normal((2, 320))
    workspace.save(SoftPrompt("bare", rows))
    at = open_page("decode", p="bare@1")
    assert "choose the base model in the sidebar" in at.info[0].value
    assert "width 320" in at.info[0].value
    at.button(key="use_builtin").click().run()
    assert at.selectbox(key="model").value == "builtin"
    assert len(at.dataframe[0].value) == 2


def test_a_prompt_without_a_base_model_is_offered_those_of_its_width(
    open_page: Open, workspace: Workspace
) -> None:
    workspace.save(SoftPrompt("bare", np.random.default_rng(0).standard_normal((2, 768))))
    at = open_page("decode", p="bare@1")
    assert "FacebookAI/roberta" in at.info[0].value
    assert "builtin" not in at.info[0].value
    at.button(key="use_FacebookAI/roberta-base").click().run()
    assert at.text_input(key="model_id").value == "FacebookAI/roberta-base"
    assert "is not on this machine" in at.info[0].value


def test_a_model_of_another_width_is_one_clear_line(open_page: Open, workspace: Workspace) -> None:
    workspace.save(SoftPrompt("wide", np.ones((2, 768)), base_model="builtin"))
    at = open_page("decode", p="wide@1")
    assert len(at.error) == 1
    assert "width 768" in at.error[0].value
    assert "width 320" in at.error[0].value


@pytest.mark.slow
def test_a_model_that_is_saved_anew_is_read_anew(
    open_page: Open, workspace: Workspace, model: str, tmp_path: Path
) -> None:
    place = Path(shutil.copytree(model, tmp_path / "model"))
    for prompt, base_model in (("own", str(place)), ("any", None)):
        rows = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
        workspace.save(SoftPrompt(prompt, rows, base_model=base_model))
        named = {} if base_model else {"model": "another", "model_id": str(place)}
        state = {**named, "try": "a dull film", "try_template": "{text}", "try_words": "yes,no"}
        at = open_page("decode", p=f"{prompt}@1", state=state)
        before = _seen(at)
        frozen = AutoModelForCausalLM.from_pretrained(place)
        with torch.no_grad():
            frozen.get_input_embeddings().weight.mul_(-1)
        frozen.save_pretrained(place)
        after = _seen(at.run())
        assert all(one != other for one, other in zip(before, after, strict=True)), prompt


def _seen(at: AppTest) -> tuple[object, ...]:
    """The nearest tokens, and what the model answers."""
    assert not at.exception and not [one.value for one in at.error]
    answers = [one.value for one in at.markdown if "the model alone says" in one.value]
    assert answers
    return at.dataframe[0].value["token"].tolist(), answers


def test_two_prompts_of_other_models_share_no_table_by_their_revisions(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tmp_path)
    asked: list[str | None] = []
    monkeypatch.setattr(resources, "vocabulary_of", lambda _, other: asked.append(other))
    rows = np.ones((2, 16), np.float32)
    for base_model in ("someone/else", model):
        resources.vocabulary_for(
            SoftPrompt("one", rows, base_model=base_model, revision="v1"), model
        )
    assert asked == [model, None]


def test_a_model_elsewhere_is_fetched_only_when_asked(
    open_page: Open, workspace: Workspace
) -> None:
    workspace.save(SoftPrompt("far", np.ones((2, 8)), base_model="someone/model"))
    at = open_page("decode", p="far@1")
    assert not at.error
    assert "not on this machine" in at.info[0].value
    next(b for b in at.button if b.label.startswith("Fetch")).click().run()
    assert len(at.error) == 1
    assert "someone/model" in at.error[0].value.replace("\\", "")


def test_several_prompts_are_shown_one_at_a_time(open_page: Open) -> None:
    at = open_page("decode", p=["sst2-text", "agnews-vocab"])
    assert at.selectbox(key="show").value == "sst2-text"
    at.selectbox(key="show").set_value("agnews-vocab").run()
    assert any("agnews\\-vocab" in one.value for one in at.caption)


def test_no_prompt_leads_to_the_library(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text")
    at.multiselect(key="p").set_value([]).run()
    assert at.info[0].value.startswith("No prompt is chosen")


def test_hostile_tokens_reach_table_and_charts_as_text(
    open_page: Open, workspace: Workspace, tmp_path: Path
) -> None:
    model = write_hostile_model(tmp_path / "model")
    workspace.save(SoftPrompt("hostile", prompt_rows(), base_model=str(model)))
    at = open_page("decode", p="hostile@1")
    tokens = set(at.dataframe[0].value["token"])
    readable = {t.replace(" ", "␣") for t in HOSTILE if t.isprintable()}
    assert readable <= tokens
    assert "line⏎break" in tokens
    assert "\\u202erotcerid" in tokens
    own = (APP / "page.html").read_text()
    others = [one.body for one in at.get("html") if one.body != own]
    assert not any("<script" in body or "<b>" in body for body in others)
    for chart in at.get("plotly_chart"):
        assert "<script" not in chart.proto.spec
        assert "<b>bold" not in chart.proto.spec


def test_all_three_controls_stand_in_the_table_the_words_and_the_violins(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text", sel="0")
    expected = [p.controls for p in decode("sst2-text").positions]
    assert list(at.dataframe[0].value["isotropic"]) == [c.isotropic for c in expected if c]
    assert expected[0]
    assert any(
        f"**{expected[0].isotropic:.1f} %** of the isotropic" in m.value for m in at.markdown
    )
    names = [str(one["x0"]) for one in _figure(at, 2)["data"]]
    assert any(name.startswith("isotropic control") for name in names)


@pytest.mark.slow
def test_what_training_moved_does_not_change_with_the_metric_that_is_shown(open_page: Open) -> None:
    at = open_page("decode", p="opinion-vocab")
    told = _of_start(at)
    assert len(told) == 1
    at.segmented_control(key="m").set_value("dot").run()
    assert _of_start(at) == told


def _of_start(at: AppTest) -> list[str]:
    """The sentences that say how many nearest tokens are still the initial ones."""
    sentences = [words for one in at.markdown for words in one.value.split(". ")]
    return [words for words in sentences if words.startswith("At ") and "initial token" in words]


def test_a_note_is_kept_with_one_s_own_prompt_and_shown_again(
    open_page: Open, workspace: Workspace
) -> None:
    rows = np.random.default_rng(0).standard_normal((2, 320)).astype(np.float32)
    workspace.save(SoftPrompt("mine", rows, base_model="builtin"))
    at = open_page("decode", p="mine@1")
    at.text_input(key="note_mine@1").set_value(" reads like **noise** ").run()
    assert not at.exception and workspace.card("mine").note == "reads like **noise**"
    assert open_page("decode", p="mine@1").text_input(key="note_mine@1").value == (
        "reads like **noise**"
    )
    assert not [one for one in open_page("decode", p="sst2-text").text_input if one.label == "Note"]


def test_a_search_that_begins_with_a_space_names_what_it_searched(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text", q=" a")
    assert any("**␣a**" in m.value for m in at.markdown)
    assert not any("** a**" in m.value for m in at.markdown)


@pytest.mark.slow
def test_the_page_opens_with_what_training_added_where_the_start_is_known(
    open_page: Open,
) -> None:
    at = open_page("decode", p="minilm-mood-text")
    told = at.subheader[0].value
    assert told.startswith("Its rows stand where they started; what they learned points to")
    assert any("start recorded · p 0\\." in c.value or "start recorded · p 0." in c.value
               for c in at.caption)  # fmt: skip
    unknown = open_page("decode", p="minilm-mood-ptuning")
    assert not unknown.exception
    assert "what they learned" not in unknown.subheader[0].value


@pytest.mark.slow
def test_the_reading_stands_as_text_with_what_each_token_is_worth(open_page: Open) -> None:
    at = open_page("decode", p="minilm-mood-text")
    strip, to_all, to_each = strips_of(at)
    assert len(to_all) == 12 and len(to_each) == 20
    found = decode("minilm-mood-text")
    assert len(strip) == len(found.positions)
    assert sum("underline;" in css for *_, css in strip) == found.never_left_start[0] > 0
    assert [text for text, *_ in strip[:3]] == ["tell", "me", "whether"]
    first = found.positions[0]
    _, hover, css = strip[0]
    assert hover.startswith(
        f"position 0, beats {first.controls.chance:.1f} % of the Gaussian control"
    )
    assert hover.count("\n") == 5
    assert f"rgba(0,114,178,{first.controls.chance / 200:.2f})" in css


@pytest.mark.slow
def test_a_guess_is_scored_in_the_prompt_s_place_beside_chance(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text")
    at.text_input(key="guess").set_value("A film review, good or bad?").run()
    assert not at.exception
    said = next(
        one.value for one in at.markdown if "of the prompt's effect is in your" in one.value
    )
    own = verbs.read("sst2-text", text_to_score=("A film review, good or bad?",)).scored_texts[0]
    assert said.startswith(f"**{100 * own.explained.share:.0f} %**")
    assert "random tokens have at best" in said
    refused = open_page("decode", p="minilm-mood-text")
    refused.text_input(key="guess").set_value("kind").run()
    assert "causal language models" in refused.error[0].value


@pytest.mark.slow
def test_a_real_sentence_and_chance_rows_can_be_read_beside_a_prompt(open_page: Open) -> None:
    at = open_page("decode", p="sst2-text", state={"beside": "a real sentence"})
    sentence = strips_of(at)[1]
    assert [text for text, *_ in sentence[:3]] == ["We", "waited", "an"]
    assert "beats 100.0 % of the Gaussian control" in sentence[0][1]
    at.segmented_control(key="beside").set_value("Gaussian control").run()
    assert strips_of(at)[1] != sentence
    assert len(strips_of(at)[1]) == 20


@pytest.mark.slow
def test_which_positions_and_layers_matter_is_measured_on_request(
    open_page: Open, workspace: Workspace, model: str
) -> None:
    task = str(write_task(workspace.tasks.path("moods")))
    rows = np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32)
    id_ = workspace.save(SoftPrompt("own", rows, base_model=model, task=task)).id
    at = open_page("decode", p=id_)
    assert {"Drop each row", "Cut off each layer"} <= {one.label for one in at.button}
    assert f"probe prune {id_} --task {task} --limit 32" in [one.value for one in at.code]
    on, card = ("--task", task, "--limit", "32"), workspace.card(id_)
    gradients = ("gradient_input", "integrated_gradients")
    ablated = verbs.ablate(
        id_, task, limit=32, attribution=gradients, points=8, workspace=workspace
    )
    cut = verbs.knock_out(id_, task, limit=32, workspace=workspace)
    for command, found, more in (
        ("ablate", ablated, ("--attribution", ",".join(gradients), "--points", "8")),
        ("knock-out", cut, ()),
    ):
        path = answer_path(
            (command, id_, *on, *more, "--json"), (card.created, card.sha256), card.base_model
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found.to_json()))
    at.run()
    assert not at.exception
    assert not {"Drop each row", "Cut off each layer"} & {one.label for one in at.button}
    positions, layers = (_figure(at, number)["data"] for number in (-2, -1))
    names = ["row dropped", "gradient × input", "integrated gradients"]
    assert [one["name"] for one in positions] == names
    dropped = [one.removed.value for one in ablated.ablation.positions]
    assert _numbers(positions[0]["y"]) == pytest.approx(dropped)
    worth = [one.window.loss_nats.value for one in cut.knock_out.layers]
    assert _numbers(layers[0]["y"]) == pytest.approx(worth)
    agreed = next(one for one in ablated.agreements if one.second == "integrated_gradients")
    assert any(f"integrated gradients {signed(agreed.spearman.value, 2)} [" in m.value
               for m in at.markdown)  # fmt: skip
