"""The Runs page: the history, side by side, and what one can do with a run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from streamlit.testing.v1 import AppTest

from dashboard.runs.records import records_of
from dashboard.shared.jobs import short
from probe.analysis.gains import score_sentence
from probe.integrations import PromptWatch
from probe.store import JobFolder, Workspace, sample_folders
from probe.tables import load_vocabulary
from tests.app.conftest import strips_of
from tests.verbs.test_drifting import keep_trajectory

Open = Callable[..., AppTest]
Made = Callable[..., JobFolder]


def _metrics(accuracy: float) -> dict[str, object]:
    gain = accuracy - 0.5
    return {
        "metric": "accuracy", "accuracy": accuracy, "zero_shot_accuracy": 0.5, "split": "test",
        "examples": 10, "accuracy_interval": [accuracy - 0.1, accuracy + 0.1],
        "accuracy_gain_interval": [gain - 0.1, gain + 0.1],
    }  # fmt: skip


def _finished(made: Made, accuracy: float = 0.8, **asked: object) -> JobFolder:
    return made(
        "finished", records=6, step=6, loss_nats=2.4, prompts=("mood@1",),
        metrics=_metrics(accuracy), asked=asked,
    )  # fmt: skip


def _button(at: AppTest, label: str) -> object:
    return next(button for button in at.button if button.label == label)


def _texts(at: AppTest) -> str:
    return " ".join(one.value for one in at.markdown)


def test_an_empty_history_says_what_to_do(open_page: Open) -> None:
    at = open_page("runs")
    assert at.subheader[0].value == "No runs yet"
    assert not at.dataframe


def test_the_answer_counts_runs_and_names_the_largest_gain(open_page: Open, made: Made) -> None:
    _finished(made, 0.7)
    best = _finished(made, 0.9)
    made("failed", message="out of memory")
    at = open_page("runs")
    assert at.markdown[0].value.startswith("3 runs: 2 finished, 1 failed.")
    assert best.id.replace("-", "\\-").replace("_", "\\_") in at.markdown[0].value
    assert at.markdown[0].value.endswith(
        ": test accuracy **0.900** (95 % interval 0.800 to 1.000, 10 examples); the model alone "
        "**0.500**, gain **+0.400** (+0.300 to +0.500): the prompt helps; best of 2, chosen on the "
        "same test examples."
    )


def test_runs_and_train_say_the_same_of_a_gain_that_is_none(open_page: Open, made: Made) -> None:
    run = _finished(made, 0.55)
    _finished(made, 0.52)
    words = score_sentence(run.status.metrics, strong="**")
    assert words.endswith("gain **+0.050** (−0.050 to +0.150): no clear difference.")
    told = open_page("runs").markdown[0].value
    assert words[len("Test ") : -1] in told
    assert "No gain is clear. The largest gain is that of" in told
    assert "best of 2, chosen on the same test examples" in told
    assert words in _texts(open_page("train", run=run.id))


def test_the_table_holds_settings_scores_and_a_spark(open_page: Open, made: Made) -> None:
    run = _finished(made, 0.9, seed=3)
    row = open_page("runs").dataframe[0].value.iloc[0]
    assert (row["run"], row["state"], row["seed"], row["score"]) == (run.id, "finished", 3, 0.9)
    assert (row["task"], row["zero_shot"], row["progress"]) == ("moods", 0.5, 100)
    assert len(row["spark"]) == 6


def test_filters_keep_what_passes_all_of_them_and_stand_in_the_address(
    open_page: Open, made: Made
) -> None:
    _finished(made)
    failed = made("failed", message="no")
    at = open_page("runs", rs="failed")
    assert list(at.dataframe[0].value["run"]) == [failed.id]
    at.multiselect(key="rs").set_value([]).run()
    assert len(at.dataframe[0].value) == 2


def test_an_address_selects_a_run_and_shows_what_came_of_it(open_page: Open, made: Made) -> None:
    run = _finished(made, 0.9)
    _finished(made, 0.7)
    at = open_page("runs", run=run.id)
    assert "accuracy **0.900** (95 % interval 0.800 to 1.000, 10 examples)" in _texts(at)
    assert "the prompt helps" in _texts(at)
    assert _button(at, "Open in Decode")


def test_no_clear_difference_is_called_that(open_page: Open, made: Made) -> None:
    run = _finished(made, 0.55)
    assert "no clear difference" in _texts(open_page("runs", run=run.id))


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        ([-0.05, 0.5], ": no clear difference."),  # the score of the model alone is uncertain too
        ([0.01, 0.5], ": the prompt helps."),
        ([-0.5, -0.01], ": the prompt hurts."),
        (None, "the model alone **0.500**."),  # an old run
    ],
)
def test_the_verdict_is_that_of_the_paired_difference(
    gain: list[float] | None, verdict: str
) -> None:
    metrics = _metrics(0.8) | {"accuracy_gain_interval": gain}
    assert score_sentence(metrics, strong="**").endswith(verdict)


def test_a_prompt_is_seen_at_every_step_it_was_kept_at(
    open_page: Open, made: Made, model: str
) -> None:
    run, vocabulary = _finished(made), load_vocabulary(model)
    starts, last = [vocabulary.rows(ids) for ids in ([20, 30, 40], [20, 31, 41])]
    keep_trajectory(run, {0: starts, 3: starts, 6: last}, model)
    at = open_page("runs", run=run.id)
    shown = [vocabulary.tokens[i].strip("␣") for i in (20, 31, 41)]
    assert [text for text, *_ in strips_of(at)[-1]] == shown
    slider = at.select_slider(key=f"kept_{run.id}_0")
    assert (slider.options, slider.value) == (["0", "3", "6"], 6)
    assert "Step **6** of 6: **2 of 3** positions have another nearest token" in _texts(at)
    slider.set_value(3).run()
    assert not at.exception
    assert strips_of(at)[-1][1][0] == vocabulary.tokens[30].strip("␣")
    assert "**0 of 3** positions have another nearest token than at the start; loss 2.700 nats" in (
        _texts(at)
    )
    stars = json.loads(at.get("plotly_chart")[-1].proto.spec)["data"][-1]
    assert [one[1] for one in stars["customdata"]] == [text for text, *_ in strips_of(at)[-1]]


def test_several_runs_are_drawn_over_each_other_and_their_differences_named(
    open_page: Open, made: Made
) -> None:
    runs = [_finished(made, seed=seed).id for seed in (0, 1)]
    at = open_page("runs", run=runs)
    assert "They differ in **seed**." in _texts(at)
    spec = json.loads(at.get("plotly_chart")[0].proto.spec)
    assert {trace["name"] for trace in spec["data"]} >= {"seed 0", "seed 1"}


def test_from_eight_scored_runs_on_settings_are_drawn_against_scores(
    open_page: Open, made: Made
) -> None:
    for seed in range(7):
        _finished(made, 0.5 + seed / 20, seed=seed)
    assert not open_page("runs").get("plotly_chart")
    _finished(made, 0.9, seed=7, length=5)
    other = {"metric": "macro_f1", "macro_f1": 0.1, "zero_shot_macro_f1": 0.2}
    made("finished", prompts=("mood@1",), metrics=other, asked={"seed": 8})
    at = open_page("runs")
    (axes,) = json.loads(at.get("plotly_chart")[0].proto.spec)["data"]
    assert [axis["label"] for axis in axes["dimensions"]] == ["length", "seed", "accuracy"]
    assert any("Left out: 1 run scored by another metric" in one.value for one in at.caption)


def test_deleting_asks_first_leaves_other_runs_and_can_be_undone(
    open_page: Open, made: Made, workspace: Workspace
) -> None:
    run, other = _finished(made), _finished(made)
    at = open_page("runs", run=run.id)
    at.button(key="delete").click().run()
    assert workspace.runs.ids() == sorted([run.id, other.id])
    assert any("will be gone" in one.value for one in at.markdown)
    at.button(key="delete_for_good").click().run()
    assert workspace.runs.ids() == [other.id]
    at.button(key=f"restore_{run.id}").click().run()
    assert workspace.runs.ids() == sorted([run.id, other.id])
    assert run.status.state == "finished" and not at.exception
    assert not [one for one in at.button if one.label.startswith("Put back")]


def test_a_label_takes_the_place_of_the_name(open_page: Open, made: Made) -> None:
    run = _finished(made)
    at = open_page("runs", run=run.id)
    at.text_input(key=f"label_{run.id}").set_value("high **rate**").run()
    assert run.label == "high **rate**"
    assert list(at.dataframe[0].value["run"]) == ["high **rate**"]
    assert any("high \\*\\*rate" in one.value for one in at.subheader)


def test_reproduce_fills_the_form_of_the_train_page(open_page: Open, made: Made) -> None:
    run = _finished(made, seed=5, init="text:it was", learning_rate=0.25, patience=2)
    at = open_page("runs", run=run.id)
    at.button(key=f"again_{run.id}").click().run()
    at.switch_page("dashboard/train/page.py").run()
    assert at.number_input(key="t_seed").value == 5
    assert at.text_input(key="t_words").value == "it was"
    command = next(one.value for one in at.code if one.value.startswith("probe train"))
    for words in ("--seed 5", "--lr 0.25", "--patience 2", "--init 'text:it was'", "moods"):
        assert words in command


def test_reproduce_names_what_the_form_has_no_field_for(open_page: Open, made: Made) -> None:
    run = _finished(made, init="vocab:500")
    config = run.path / "config.json"
    asked = json.loads(config.read_text())
    asked["request"] |= {"folds": 3, "test_examples": 7, "text_column": "review"}
    asked["request"] |= {"label_word": [["great", "fine"], "bad"]}
    asked["request"]["training"] |= {"objective": "distill", "teacher": "Judge it."}
    config.write_text(json.dumps(asked))
    at = open_page("runs", run=run.id)
    at.button(key=f"again_{run.id}").click().run()
    said = at.info[0].value.replace("\\", "")
    assert "label word great|fine, label word bad, folds 3, test examples 7" in said
    assert all(words in said for words in ("text column review", "device cpu"))
    assert said.endswith(", objective distill, teacher Judge it.**.")
    at.switch_page("dashboard/train/page.py").run()
    commands = []
    for start in ("random", "vocab"):
        commands += [one.value for one in at.code if one.value.startswith("probe train")]
        at.selectbox(key="t_start").set_value(start).run()
    assert "--init vocab:500" in commands[0]
    assert "500" not in next(one.value for one in at.code if one.value.startswith("probe train"))


def test_a_run_at_work_is_shown_moving_and_cannot_be_deleted(open_page: Open, made: Made) -> None:
    run = made("running", living=True, records=3, step=3, activity="training")
    at = open_page("runs", run=run.id)
    assert at.markdown[0].value.startswith("1 run: 1 running.")
    assert not [button for button in at.button if button.key == "delete"]
    assert at.button(key=f"cancel_{run.id}")


def test_a_run_at_work_shows_the_memory_that_it_holds(open_page: Open, made: Made) -> None:
    run = made("running", step=20, living=True, activity="training")
    at = open_page("runs", run=run.id)
    (held,) = (one.value for one in at.metric if one.label == "Memory")
    assert 0.1 < float(held.split(" of ")[0]) < 100
    done = _finished(made)
    assert "Memory" not in [one.label for one in open_page("runs", run=done.id).metric]


def test_a_model_is_named_by_the_folder_that_tells_which() -> None:
    assert short("/models/smol-135m/hf/") == "smol-135m/hf"
    assert short("/models/smol-135m") == "smol-135m"
    assert short("/hf") == "hf" and short("org/hf") == "org/hf"


# Try it, on Decode


@pytest.mark.slow
def test_a_sentence_is_answered_beside_the_model_alone(open_page: Open) -> None:
    assert "sst2-text" in sample_folders()
    at = open_page("decode", p=["sst2-text", "subj-prefix"], **{"try": "a moving film"})
    texts = _texts(at)
    assert "**sst2\\-text** says **" in texts
    assert "**subj\\-prefix** says **" in texts
    assert "the model alone says" in texts
    bars = [json.loads(one.proto.spec) for one in at.get("plotly_chart")][-2:]
    for spec in bars:
        assert {trace["type"] for trace in spec["data"]} == {"bar"}


def test_words_that_cannot_be_used_are_one_line(open_page: Open) -> None:
    at = open_page(
        "decode", p="sst2-text", state={"try_template": "no slot"}, **{"try": "a moving film"}
    )
    assert len(at.error) == 1
    assert "the template needs" in at.error[0].value


def test_without_a_sentence_no_model_is_opened(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr("probe.models.load_model", lambda *_, **__: opened.append(1))
    open_page("decode", p="sst2-text")
    assert opened == []


def test_a_run_that_joins_the_queue_again_has_the_records_of_its_file(made: Made) -> None:
    run = made("queued", records=6)
    assert len(records_of(run)) == 6
    run.metrics.write_text("".join(run.metrics.read_text().splitlines(keepends=True)[:3]))
    assert [one["step"] for one in records_of(run)] == [1, 2, 3]


def test_a_run_that_was_only_watched_opens_as_any_other(open_page: Open, model: str) -> None:
    with PromptWatch(model, name="watched", task="moods") as watch:
        watch.step(torch.ones(2, 16), step=0, metrics={"accuracy": 0.5, "eval_loss": 2.0})
        watch.step(torch.eye(16)[:2], step=3, metrics={"accuracy": 0.7, "eval_loss": 1.0})
        run = str(watch.run)
    at = open_page("runs", run=run)
    told = _texts(at)
    assert "task **moods**" in told and "watched" in told
    assert ("Validation accuracy", "0.700") in [(one.label, one.value) for one in at.metric]
    assert not at.error and not [one for one in at.code if "probe train" in one.value]
    at.button(key=f"again_{run}").click().run()
    assert at.info[0].value == "The form holds the settings of **watched**."
    assert at.error[0].value.startswith("task moods") and not at.exception
