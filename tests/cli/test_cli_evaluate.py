"""`probe evaluate`, `predict` and `generate` on tiny models and tasks."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from probe import formats
from probe.charts import score_intervals
from probe.datasets import sample
from probe.models import load_model, prepare
from probe.prompt import KVPrefix, SoftPrompt
from probe.store import Workspace, sample_facts, sample_folders
from probe.task import Example, Task
from probe.verbs.evaluating import evaluate, some_examples
from tests.trainable import write_model, write_rows, write_task

EXACT = 1e-4


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model, a task it was never trained for, and three prompts on them."""
    root = tmp_path_factory.mktemp("evaluate")
    model = write_model(root / "model")
    write_task(root / "moods")
    rng = np.random.default_rng(0)
    for name, rows in (("short", 2), ("long", 5)):
        prompt = SoftPrompt(
            name,
            rng.normal(size=(rows, 16)),
            base_model=str(model),
            task="moods",
            config={"template": "{text} it was so", "label_words": ["very bright", "dull"]},
        )
        formats.save(prompt, root / f"{name}.safetensors", to="safetensors")
    prefix = KVPrefix("prefix", *rng.normal(size=(2, 2, 2, 3, 4)), base_model=str(model))
    formats.save(prefix, root / "prefix.safetensors", to="safetensors")
    return root


@pytest.fixture
def here(folders, monkeypatch):
    monkeypatch.chdir(folders)
    return folders


SHORT, LONG, PREFIX = "short.safetensors", "long.safetensors", "prefix.safetensors"


def kinds(document):
    return [one["kind"] for one in document["evaluations"]]


def test_one_prompt_gives_one_document_with_its_own_numbers_on_top(here, probe, check_schema):
    result = probe("evaluate", SHORT, "--task", "moods", "--json")
    document = result.json
    (note,) = document["notes"]
    assert (result.code, result.err) == (0, f"probe: {note}\n")
    assert "differ in tokens (very bright 2, dull 1)" in note
    check_schema("evaluate", document)
    assert (document["task"], document["split"], document["n"]) == ("moods", "test", 10)
    (only,) = document["evaluations"]
    assert all(document[key] == value for key, value in only.items())
    low, high = document["interval"]["accuracy"]
    assert low <= document["accuracy"] <= high and low < high
    assert document["exact_match"] is None and document["against_zero_shot"] is None


def test_a_prompt_is_asked_in_its_own_words_unless_others_are_given(here, probe):
    asked = ("evaluate", SHORT, "--task", "moods", "--json")
    own = probe(*asked).json
    assert (own["template"], own["label_words"]) == ("{text} it was so", ["very bright", "dull"])
    words = ("--template", "{text} is", "--label-word", "kind", "--label-word", "mean")
    given = probe(*asked, *words).json
    assert (given["template"], given["label_words"]) == ("{text} is", ["kind", "mean"])
    assert given["loss_nats"] != own["loss_nats"]
    other = probe("evaluate", PREFIX, "--task", "moods", "--json").json
    assert (other["template"], other["label_words"]) == ("{text} it was", ["yes", "no"])


def test_every_baseline_stands_beside_the_prompts(here, probe, check_schema):
    arguments = ("--zero-shot", "--hard", "so", "--discretised", "--ensemble", "--fine-tuned", "3")
    result = probe("evaluate", SHORT, LONG, "--task", "moods", *arguments, "--json")
    document = result.json
    check_schema("evaluate", document)
    assert kinds(document) == [
        "ensemble",
        "prompt",
        "prompt",
        "zero_shot",
        "hard_prompt",
        "discretised",
        "discretised",
        "fine_tuned",
    ]
    assert document["name"] == "ensemble of short, long"
    zero = document["evaluations"][3]
    for one in document["evaluations"][:3]:
        gain = one["against_zero_shot"]["accuracy"]["difference"]
        assert gain == pytest.approx(one["accuracy"] - zero["accuracy"])
    assert zero["against_zero_shot"] is None
    hard = document["evaluations"][4]
    assert hard["template"] == "so {text} it was so"
    gain = hard["against_zero_shot"]["loss_nats"]["difference"]
    assert gain == pytest.approx(hard["loss_nats"] - zero["loss_nats"])
    assert [one["prompt"] for one in document["faithfulness"]] == ["short", "long"]
    for one in document["faithfulness"]:
        assert (one["discretised"]["value"] is None) == (one["gain"]["value"] <= 0)


def test_people_see_the_same_numbers_with_what_they_mean(here, probe):
    arguments = ("evaluate", SHORT, "--task", "moods", "--discretised")
    document, shown = probe(*arguments, "--json").json, probe(*arguments).flat
    for one in document["evaluations"]:
        assert f"{one['accuracy']:.3f} [{one['interval']['accuracy'][0]:.3f}" in shown
    assert "short (nearest tokens)" in shown and "faithfulness" in shown
    assert "asked as: '{text} it was so' → very bright, dull" in shown
    (share,) = document["faithfulness"]
    assert (share["undefined"] or "random tokens") in shown


@pytest.mark.parametrize("columns", [80, 120])
def test_several_templates_stand_in_their_rows_and_no_word_is_broken(
    columns, here, probe, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(columns))
    asked = ("evaluate", SHORT, "--task", "moods", "--zero-shot", "--hard", "{text} is that so")
    result = probe(*asked)
    scores = [line for line in result.out.splitlines() if re.search(r"0\.\d{3} \[", line)]
    assert len(scores) == 3 and all(len(line) <= columns for line in scores)
    assert ["that" in line for line in scores] == [False, False, True] or columns == 80
    assert result.out.count("'{text}") == 4  # in three rows, and in the hard prompt's name
    for word in ("accuracy", "zero-shot", "short", "'{text}"):
        assert re.search(rf"(^|\s){re.escape(word)}(\s|$)", result.out)


def test_a_limit_and_a_split_are_obeyed(here, probe):
    asked = ("evaluate", SHORT, "--task", "moods", "--json")
    assert probe(*asked, "--limit", "3").json["n"] == 3
    assert probe(*asked, "--limit", "300").json["n"] == 10
    assert probe(*asked, "--split", "validation").json["n"] == 8


def test_a_limit_draws_from_all_over_a_file_that_is_sorted_by_label():
    examples = [Example(f"text {n}", label=n // 50) for n in range(100)]
    task = Task("t", "classification", label_words=("a", "b"), test=examples)
    drawn = some_examples(task, "test", 20)
    assert len(drawn) == 20 and 5 < sum(example.label for example in drawn) < 15
    assert drawn == sample(examples, 20)


def test_baselines_can_be_asked_without_a_prompt(here, probe, check_schema):
    result = probe("evaluate", "--task", "moods", "--zero-shot", "--model", "model", "--json")
    check_schema("evaluate", result.json)
    assert kinds(result.json) == ["zero_shot"]
    nameless = probe("evaluate", "--task", "moods", "--zero-shot")
    assert nameless.code == 1 and "name it with --model" in nameless.err


def test_generation_tasks_are_scored_by_their_texts(here, probe, check_schema, tmp_path):
    folder = tmp_path / "write"
    folder.mkdir()
    (folder / "task.toml").write_text('kind = "generation"\ntemplate = "{text} it was"\n')
    rows = [{"text": "the film", "target": "sweet"}, {"text": "a song", "target": "dull"}]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = probe("evaluate", SHORT, "--task", folder, "--zero-shot", "--json")
    check_schema("evaluate", result.json)
    assert result.json["metric"] == "exact_match" and result.json["accuracy"] is None
    assert 0 <= result.json["exact_match"] <= result.json["rouge_l"] <= 1
    voted = probe("evaluate", SHORT, LONG, "--task", folder, "--ensemble")
    assert voted.code == 1 and "votes on labels" in voted.err


# The history


@pytest.fixture
def kept(here, probe):
    """Two prompts on the task and one of another, in the workspace."""
    assert probe("library", "add", SHORT, LONG, PREFIX).code == 0


def test_all_prompts_of_a_task_are_recorded_and_the_first_time_flags_nothing(
    kept, probe, check_schema
):
    arguments = ("evaluate", "--all", "--record", "--task", "moods")
    first = probe(*arguments, "--json")
    check_schema("evaluate", first.json)
    assert [one["prompt"] for one in first.json["records"]] == ["long@1", "short@1"]
    assert {one["last"] for one in first.json["records"]} == {None}
    again = probe(*arguments, "--json")
    assert "dropped" not in again.err
    for one, before in zip(again.json["records"], first.json["records"], strict=True):
        assert (one["change"], one["drop"]) == (0, False)
        assert one["last"] == {key: before[key] for key in ("recorded", "value")}
    assert "the first of its kind" not in probe(*arguments).flat
    assert len(Workspace().prompts.history("short@1")) == 3


def test_a_drop_is_flagged_in_the_document_and_on_stderr(kept, probe):
    """The last record is raised by hand: the same prompt now does worse than it did."""
    arguments = ("evaluate", "short", "--record", "--task", "moods")
    probe(*arguments)
    workspace = Workspace()
    (record,) = workspace.prompts.history("short@1")
    lost = record.scores.count(0.0)
    assert lost > 5 and len(record.scores) == record.n == 10
    workspace.record("short@1", replace(record, value=1.0, scores=(1.0,) * 10))
    result = probe(*arguments, "--fail-on-drop", "--json")
    assert result.code == 1
    (one,) = result.json["records"]
    assert one["drop"] is True and one["change"] == pytest.approx(-lost / 10)
    assert one["p_value"] == 2 / 2**lost
    assert result.err.splitlines()[-1].startswith("probe: short@1 dropped: accuracy")
    people = probe(*arguments, "--fail-on-drop")
    assert people.code == 0
    assert "dropped" not in people.err  # the lower value is the last one now


def test_two_examples_of_ten_fewer_are_noise(kept, probe):
    arguments = ("evaluate", "short", "--record", "--task", "moods")
    probe(*arguments)
    workspace = Workspace()
    (record,) = workspace.prompts.history("short@1")
    turned = [place for place, score in enumerate(record.scores) if not score][:2]
    scores = tuple(1.0 if place in turned else one for place, one in enumerate(record.scores))
    workspace.record("short@1", replace(record, value=record.value + 0.2, scores=scores))
    result = probe(*arguments, "--fail-on-drop", "--json")
    assert result.code == 0 and "dropped" not in result.err
    assert result.json["records"][0]["p_value"] == 0.5
    assert probe("evaluate", "short", "--task", "moods", "--fail-on-drop").code == 2


def test_other_examples_or_words_are_another_question(kept, probe):
    probe("evaluate", "short", "--record", "--task", "moods")
    for other in (("--limit", "4"), ("--template", "{text} is"), ("--split", "validation")):
        result = probe("evaluate", "short", "--record", "--task", "moods", *other, "--json")
        assert result.json["records"][0]["last"] is None


def test_only_workspace_prompts_have_a_history(here, probe):
    result = probe("evaluate", SHORT, "--record", "--task", "moods")
    assert result.code == 1 and "short is not in the workspace" in result.err
    nothing = probe("evaluate", "--all", "--task", "moods")
    assert nothing.code == 1 and "was trained on moods" in nothing.err


# Predictions and continuations


def test_predictions_come_text_by_text_from_every_prompt(here, probe, check_schema):
    texts = ("--text", "the film was sweet", "--text", "a cold soup")
    together = probe("predict", SHORT, PREFIX, *texts, "--task", "moods", "--json")
    check_schema("predict", together.json)
    found = together.json["predictions"]
    assert [(one["prompt"], one["text"]) for one in found] == [
        ("short", "the film was sweet"),
        ("prefix", "the film was sweet"),
        ("short", "a cold soup"),
        ("prefix", "a cold soup"),
    ]
    for one in found:
        assert sum(one["probabilities"].values()) == pytest.approx(1)
        assert one["label"] == max(one["probabilities"], key=one["probabilities"].get)
    for name, path in (("short", SHORT), ("prefix", PREFIX)):
        alone = probe("predict", path, *texts, "--task", "moods", "--json").json["predictions"]
        mixed = [one for one in found if one["prompt"] == name]
        for one, same in zip(alone, mixed, strict=True):
            assert one["probabilities"] == pytest.approx(same["probabilities"], abs=EXACT)
    assert "very bright" in probe("predict", SHORT, *texts).flat


def test_prompts_of_tasks_with_different_labels_share_a_call(here, probe, tmp_path):
    three = SoftPrompt(
        "three",
        np.ones((2, 16)),
        base_model="model",
        config={"template": "{text}", "label_words": ["kind", "mean", "calm"]},
    )
    formats.save(three, tmp_path / "three.safetensors", to="safetensors")
    found = probe(
        "predict",
        SHORT,
        tmp_path / "three.safetensors",
        "--text",
        "so",
        "--model",
        "model",
        "--json",
    ).json["predictions"]
    assert [len(one["probabilities"]) for one in found] == [2, 3]


def test_texts_can_come_from_a_file(here, probe, tmp_path):
    (tmp_path / "texts.txt").write_text("the film\n\na day\n")
    write_rows(tmp_path / "rows.jsonl", [])
    (tmp_path / "rows.jsonl").write_text('{"text": "so"}\n')
    found = probe("predict", SHORT, "--file", tmp_path / "texts.txt", "--text", "it", "--json")
    assert [one["text"] for one in found.json["predictions"]] == ["it", "the film", "a day"]
    rows = probe("predict", SHORT, "--file", tmp_path / "rows.jsonl", "--json")
    assert [one["text"] for one in rows.json["predictions"]] == ["so"]


def test_continuations_depend_on_the_prompt_and_not_on_its_neighbours(here, probe, check_schema):
    texts = ("--text", "the film", "--text", "a cold soup was")
    arguments = ("--max-new-tokens", "6", "--template", "{text}", "--json")
    together = probe("generate", SHORT, LONG, PREFIX, *texts, *arguments)
    check_schema("generate", together.json)
    outputs = {}
    for one in together.json["continuations"]:
        outputs.setdefault(one["prompt"], []).append(one["output"])
    assert len({tuple(own) for own in outputs.values()}) == 3
    for name in ("short", "long", "prefix"):
        alone = probe("generate", f"{name}.safetensors", *texts, *arguments).json
        assert [one["output"] for one in alone["continuations"]] == outputs[name]
    model = load_model("model", device="cpu")
    examples = [Example("the film"), Example("a cold soup was")]
    rows = prepare(model, Task("asked", "generation", "{text}"), examples, new_tokens=6)
    assert model.generate_rows(None, rows, max_new_tokens=6) not in outputs.values()


def test_a_prompt_continues_its_own_template_unless_another_is_given(here, probe):
    result = probe("generate", SHORT, "--text", "the film", "--json")
    assert result.json["prompts"][0]["template"] == "{text} it was so"
    spelled = probe(
        "generate", SHORT, "--text", "the film it was so", "--template", "{text}", "--json"
    )
    assert [one["output"] for one in result.json["continuations"]] == [
        one["output"] for one in spelled.json["continuations"]
    ]


# The samples


def test_samples_know_their_task_and_words(probe, tmp_path):
    """On the built-in model, in the words of the manifest."""
    (tmp_path / "agnews").mkdir()
    rows = [{"text": "Stocks fell on Monday .", "label": 2}, {"text": "They won .", "label": 1}]
    (tmp_path / "agnews" / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    result = probe(
        "evaluate",
        "agnews-vocab",
        "--task",
        "agnews",
        "--data-dir",
        tmp_path,
        "--zero-shot",
        "--json",
    )
    assert {one["template"] for one in result.json["evaluations"]} == {
        sample_facts()["agnews-vocab"]["template"]
    }
    assert result.json["model"] == "builtin"
    kept = probe("library", "add", "agnews-vocab", "--json").json["prompts"][0]
    assert kept["task"] == "agnews" and "agnews-vocab" in sample_folders()
    stored = probe(
        "evaluate", "agnews-vocab@1", "--task", "agnews", "--data-dir", tmp_path, "--json"
    )
    assert stored.json["loss_nats"] == pytest.approx(result.json["loss_nats"], abs=EXACT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", SHORT, "--task", "nothing"), "task nothing: expected one of"),
        (("evaluate", SHORT, "--task", "moods", "--label-word", "x"), "one word per label"),
        (("evaluate", SHORT, "--task", "moods", "--template", "x"), "needs {text} once"),
        (("evaluate", PREFIX, "--task", "moods", "--discretised"), "key/value prefix"),
        (("evaluate", SHORT, "--task", "moods", "--ensemble"), "give two or more prompts"),
        (("evaluate", SHORT, "--task", "moods", "--model", "builtin"), "width 320, found 16"),
        (("predict", PREFIX, "--text", "x"), "does not tell its label words"),
        (("predict", SHORT, "--file", "none.txt"), "none.txt"),
        (("generate", SHORT, "--text", "x", "--model", "minilm"), "minilm"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(arguments, message, here, probe):
    result = probe(*arguments)
    assert (result.code, result.out) == (1, "")
    assert message in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", SHORT),
        ("evaluate", "--task", "moods"),
        ("evaluate", SHORT, "--all", "--task", "moods"),
        ("evaluate", SHORT, "--task", "moods", "--limit", "0"),
        ("evaluate", SHORT, "--task", "moods", "--split", "dev"),
        ("predict", SHORT),
        ("predict", "--text", "x"),
        ("generate", SHORT),
        ("generate", SHORT, "--text", "x", "--max-new-tokens", "0"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, here, probe):
    result = probe(*arguments)
    assert (result.code, result.out) == (2, "")


# What readability costs


def test_prompts_of_tokens_stand_beside_soft_ones_with_what_they_cost(here, probe, check_schema):
    model = load_model("model")
    rows = model.embed_ids(torch.tensor([9, 10])).numpy()
    config = {"token_ids": [9, 10], "training": {"method": "pez"}}
    pez = SoftPrompt("readable", rows, base_model=str(here / "model"), task="moods", config=config)
    formats.save(pez, here / "readable.safetensors", to="safetensors")
    arguments = ("evaluate", SHORT, "readable.safetensors", "--task", "moods", "--discretised")
    document = probe(*arguments, "--json").json
    check_schema("evaluate", document)
    methods = [one["method"] for one in document["evaluations"] if one["kind"] == "prompt"]
    assert methods == ["unknown", "pez"]
    found = [(one["prompt"], one["readable"], one["how"]) for one in document["readability"]]
    assert found == [("short", "short", "discretised"), ("short", "readable", "tokens")]
    scores = {(one["name"], one["kind"]): one["accuracy"] for one in document["evaluations"]}
    cost = document["readability"][1]["cost"]
    expected = scores["short", "prompt"] - scores["readable", "prompt"]
    assert cost["value"] == pytest.approx(expected)
    shown = probe(*arguments).flat
    assert "readable (PEZ)" in shown
    assert f"cost of readability: short − readable = {expected:+.3f} [" in shown
    assert "cost of readability: short − its nearest tokens =" in shown


def test_the_figure_shows_every_way_with_its_interval(here):
    found = evaluate([SHORT], "moods", zero_shot=True, discretised=True).comparison
    figure = score_intervals(found)
    points = figure.data[0]
    assert list(points.x) == [one.measures["accuracy"].value for one in found.evaluations]
    assert list(figure.layout.yaxis.ticktext) == ["short", "zero-shot", "short (nearest tokens)"]
    assert len(set(points.marker.color)) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", SHORT, "--text", "\udcff"),
        ("generate", SHORT, "--text", "\udcff"),
        ("evaluate", SHORT, "--task", "moods", "--hard", "\udcff"),
        ("train", "--task", "moods", "--dry-run", "--init", "text:\udcff"),
    ],
)
def test_words_that_are_no_text_are_one_clear_line(arguments, here, probe):
    result = probe(*arguments)
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("probe: expected text that UTF-8 can hold, found")
