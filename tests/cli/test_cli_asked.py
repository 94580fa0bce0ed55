"""What a user asks about and how: rows of several columns, synonyms, prompts row by row, notes."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from probe import formats, verbs
from probe.errors import DataError, ProbeError
from probe.prompt import SoftPrompt
from probe.tables import load_vocabulary
from probe.task import Example, Task
from tests.trainable import write_model, write_task

EXACT = 1e-4
WORDS = ["bright", "dull"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model, another of the same width, a task, and three prompts."""
    root = tmp_path_factory.mktemp("asked")
    model = write_model(root / "model")
    write_model(root / "other")
    write_task(root / "moods")
    rng = np.random.default_rng(0)
    for name, rows in (("one", 2), ("two", 5), ("three", 3)):
        prompt = SoftPrompt(
            name,
            rng.normal(size=(rows, 16)),
            base_model=str(model),
            task="moods",
            config={"template": "{text} it was", "label_words": WORDS},
        )
        formats.save(prompt, root / f"{name}.safetensors", to="safetensors")
    return root


@pytest.fixture
def here(folders, monkeypatch):
    monkeypatch.chdir(folders)
    return folders


ONE, TWO, THREE = "one.safetensors", "two.safetensors", "three.safetensors"


def shares(document):
    return [list(one["probabilities"].values()) for one in document["predictions"]]


# Columns


def test_a_template_names_any_column_of_a_file(here, probe, check_schema, tmp_path):
    rows = tmp_path / "pairs.csv"
    rows.write_text("premise,hypothesis,n\nthe film was sweet,the day was kind,1\n")
    template = ("--template", "{premise} and {hypothesis} it was")
    found = probe("predict", ONE, "--file", rows, *template, "--json")
    check_schema("predict", found.json)
    text = ("--text", "the film was sweet and the day was kind")
    assert shares(found.json) == shares(probe("predict", ONE, *text, "--json").json)
    assert found.json["predictions"][0]["text"] == "the film was sweet | the day was kind"
    wrong = probe("predict", ONE, "--file", rows, "--template", "{premise} {claim}")
    assert wrong.code == 1 and wrong.err.count("\n") == 1
    assert "names {claim}, the data has 'premise', 'hypothesis', 'n'" in wrong.err
    plain = probe("predict", ONE, *text, *template)
    assert plain.code == 1 and "names {premise}, the data has 'text'" in plain.err


def test_a_task_of_pairs_is_evaluated(here, probe, tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    words = json.dumps(WORDS)
    (folder / "task.toml").write_text(f'label_words = {words}\ntemplate = "{{a}} so {{b}} is"\n')
    rows = [{"a": "the film", "b": "a day", "label": n % 2} for n in range(4)]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = probe("evaluate", ONE, "--task", folder, "--zero-shot", "--hard", "very", "--json")
    assert found.code == 0, found.err
    assert found.json["template"] == "{a} so {b} is"
    templates = [one["template"] for one in found.json["evaluations"]]
    assert templates == ["{a} so {b} is"] * 2 + ["very {a} so {b} is"]


def test_the_text_column_of_a_file_can_be_named(here, probe, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("prompt,review\nwhat a film,the film was sweet\n")
    text = shares(probe("predict", ONE, "--text", "the film was sweet", "--json").json)
    named = replaced(rows, "prompt", "id")
    assert (
        shares(probe("predict", ONE, "--file", named, "--text-column", "review", "--json").json)
        == text
    )
    as_text = probe("predict", ONE, "--file", rows, "--text-column", "prompt", "--json").json
    assert as_text["predictions"][0]["text"] == "what a film"
    missing = probe("predict", ONE, "--file", rows, "--text-column", "body")
    assert missing.code == 1 and "expected a column named 'body', found 'prompt'" in missing.err


def replaced(path, old, new):
    made = path.with_name(f"with-{new}.csv")
    made.write_text(path.read_text().replace(old, new, 1))
    return made


# A prompt per row


def test_each_row_of_a_file_names_its_prompt(here, probe, check_schema, tmp_path, monkeypatch):
    texts = ["the film was sweet", "a cold soup", "the day", "so very mean", "it was calm"]
    names = [ONE, TWO, ONE, THREE, TWO]
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "\n".join(json.dumps({"text": t, "prompt": n}) for t, n in zip(texts, names, strict=True))
    )
    passes = count_passes(monkeypatch)
    found = probe("predict", "--file", rows, "--json")
    assert found.code == 0, found.err
    assert passes == [5], "the rows of all prompts share one batch"
    check_schema("predict", found.json)
    assert [one["prompt"] for one in found.json["predictions"]] == [
        "one",
        "two",
        "one",
        "three",
        "two",
    ]
    assert [one["text"] for one in found.json["predictions"]] == texts
    for text, name, own in zip(texts, names, shares(found.json), strict=True):
        (alone,) = shares(probe("predict", name, "--text", text, "--json").json)
        assert own == pytest.approx(alone, abs=EXACT)
    among = probe("predict", ONE, TWO, THREE, "--file", rows, "--json").json
    assert among["predictions"] == found.json["predictions"]


def count_passes(monkeypatch):
    from probe.models.language import LanguageModel

    passes, plain = [], LanguageModel.label_scores

    def counting(self, injection, rows, which=None):
        passes.append(len(rows))
        return plain(self, injection, rows, which)

    monkeypatch.setattr(LanguageModel, "label_scores", counting)
    return passes


def test_rows_that_name_no_prompt_or_another_are_refused(here, workspace_rows):
    with pytest.raises(DataError, match=r"row 2 names no prompt in the column 'prompt', others do"):
        verbs.predict([], workspace_rows(ONE, ""))
    with pytest.raises(
        DataError, match=r"row 2 names the prompt 'two', expected one of|row 2 name"
    ):
        verbs.predict([ONE], workspace_rows("one", "two"))
    with pytest.raises(
        ProbeError, match=r"one or more prompts and texts are needed, found 0 and 2"
    ):
        verbs.predict([], workspace_rows("", ""))


@pytest.fixture
def workspace_rows():
    return lambda *names: [{"text": "the film", "prompt": name} for name in names]


def test_continuations_too_are_written_row_by_row(here, probe, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text(f"text,prompt\nthe film,{ONE}\na day,{TWO}\n")
    found = probe("generate", "--file", rows, "--max-new-tokens", 3, "--json").json
    for one, name in zip(found["continuations"], (ONE, TWO), strict=True):
        asked = ("--text", one["text"], "--max-new-tokens", 3, "--json")
        assert probe("generate", name, *asked).json["continuations"] == [one]


def test_neither_prompts_nor_a_file_is_a_usage_error(here, probe):
    assert probe("predict", "--text", "the film").code == 2
    assert probe("predict", ONE).code == 2


# Synonyms


def test_a_label_of_several_words_is_as_likely_as_all_of_them(here, probe, check_schema):
    words = ("--label-word", "bright|sweet", "--label-word", "dull")
    together = probe("predict", ONE, "--text", "the film", *words, "--json").json
    check_schema("predict", together)
    each = [word for one in ("bright", "sweet", "dull") for word in ("--label-word", one)]
    apart = probe("predict", ONE, "--text", "the film", *each, "--json").json
    bright, sweet, dull = shares(apart)[0]
    assert shares(together)[0] == pytest.approx([bright + sweet, dull], abs=EXACT)
    assert together["prompts"][0]["label_words"] == ["bright|sweet", "dull"]
    given = verbs.predict([ONE], ["the film"], label_word=[["bright", "sweet"], "dull"])
    assert given.to_json()["predictions"] == together["predictions"]


def test_a_prompt_is_asked_in_all_the_words_it_was_trained_with(here, probe, tmp_path):
    prompt = formats.load(here / ONE)[0]
    taught = replace(prompt, config={**prompt.config, "label_words": [["bright", "sweet"], "dull"]})
    own = verbs.predict([taught], ["the film"])
    assert own.prompts[0].label_words == ("bright|sweet", "dull")
    scored = verbs.evaluate([taught], here / "moods", label_word=(), zero_shot=True)
    assert scored.comparison.evaluations[0].label_words == ("bright|sweet", "dull")


# Exports


def test_predictions_are_written_as_csv_once(here, probe, tmp_path):
    path = tmp_path / "found.csv"
    asked = ("predict", ONE, TWO, "--text", "the film, so sweet", "--csv", path)
    found = probe(*asked, "--json")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [(row["text"], row["prompt"]) for row in rows] == [
        ("the film, so sweet", "one"),
        ("the film, so sweet", "two"),
    ]
    for row, own in zip(rows, shares(found.json), strict=True):
        assert [float(row[f"probability {word}"]) for word in WORDS] == pytest.approx(own)
        assert row["label"] in WORDS
    again = probe(*asked)
    assert (again.code, again.err) == (
        1,
        f"probe: {path} is there already: choose another destination or remove it\n",
    )


# Notes


def test_cut_texts_are_noted_wherever_a_model_reads_them(here, probe, check_schema):
    long = " ".join(["the film was very sweet and so"] * 12)
    for command in ("predict", "generate"):
        more = ("--max-new-tokens", 3) if command == "generate" else ()
        found = probe(command, ONE, "--text", long, "--text", "so", *more, "--json")
        check_schema(command, found.json)
        (note,) = found.json["notes"]
        assert note.startswith("1 of 2 texts does not fit the ") and "its end is cut, " in note
        assert found.err == f"probe: {note}\n"
    task = Task("t", "classification", "{text} it was", tuple(WORDS), test=[Example(long, 0)])
    (note,) = verbs.evaluate([ONE], task).notes
    assert note.startswith("1 of 1 text does not fit the ")
    assert verbs.predict([ONE], ["so"]).notes == ()


def test_analyses_of_a_task_note_each_thing_once(here, probe, check_schema, tmp_path):
    """`ablate` reads every text many times over."""
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / "task.toml").write_text('label_words = ["bright", "so dull"]\n')
    rows = [{"text": "the film " * (40 if n else 1), "label": n % 2} for n in range(3)]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("--label-word", "bright", "--label-word", "so dull")
    for command, more in (("ablate", words), ("transfer", (TWO,))):
        found = probe(command, ONE, *more, "--task", folder, "--json")
        check_schema(command, found.json)
        notes = found.json["notes"]
        assert any("differ in tokens (bright 1, so dull 2)" in line for line in notes)
        assert any(line.startswith("2 of 3 texts do not fit the ") for line in notes)
        assert len(set(notes)) == len(notes) and len(notes) <= 4
        assert [
            line for line in found.err.splitlines() if "fit the" in line or "differ" in line
        ] == [f"probe: {line}" for line in notes]


def test_another_model_of_the_same_width_is_noted(here, probe):
    found = probe("predict", ONE, "--text", "so", "--model", "./other", "--json")
    (note,) = found.json["notes"]
    assert f"one was trained on {here / 'model'} and is asked on ./other" in note
    assert found.err == f"probe: {note}\n"
    assert probe("predict", ONE, "--text", "so", "--json").json["notes"] == []
    scored = verbs.evaluate([ONE], here / "moods", model=here / "other")
    assert any("is asked on" in line for line in scored.notes)


@pytest.mark.parametrize("command", ["decode", "find", "map", "clusters", "read", "compare"])
def test_reading_in_the_table_of_another_model_of_the_same_width_is_noted(
    command, here, probe, check_schema
):
    several = command in ("compare", "clusters")
    more = {"find": ("#7", ONE), "read": (ONE, "--readings", "nearest")}.get(command, (ONE,))
    arguments = (command, *((ONE, TWO) if several else more), "--json", "--model")
    found = probe(*arguments, "./other")
    check_schema(command, found.json)
    (note,) = [line for line in found.json["notes"] if "trained on" in line]
    assert f"trained on {here / 'model'} and " in note and " of ./other: unless " in note
    assert note.startswith("one and 1 more were" if several else "one was")
    assert found.err.count(f"probe: {note}\n") == 1
    own = probe(*arguments, "./model")  # the same place, named otherwise
    assert not any("trained on" in line for line in own.json["notes"]) and own.code == 0
    assert "trained on" not in own.err


def test_tables_tell_more_than_names_where_a_prompt_records_its_own(here):
    prompt = formats.load(here / ONE)[0]
    own = {"table_sha256": load_vocabulary(here / "model").fingerprint}
    moved = replace(prompt, base_model="elsewhere", config={**prompt.config, **own})
    assert not any("trained on" in line for line in verbs.decode(moved, here / "model").notes)
    changed = replace(prompt, config={**prompt.config, "table_sha256": "0"})
    (note,) = [line for line in verbs.decode(changed).notes if "trained on" in line]
    assert f"trained on {here / 'model'} with another table and is taken for" in note


def test_the_same_weights_under_another_name_are_the_same_model(here):
    from probe.models import load_model

    model = load_model(str(here / "model"), device="cpu")
    prompt = formats.load(here / ONE)[0]
    weights = {"model_sha256": model.fingerprint}
    known = replace(prompt, base_model="elsewhere", config={**prompt.config, **weights})
    assert verbs.predict([known], ["so"], model=here / "model", device="cpu").notes == ()
    changed = replace(known, config={**known.config, "model_sha256": "0"})
    assert len(verbs.predict([changed], ["so"], model=here / "model", device="cpu").notes) == 1


# The examples that were set aside


def test_validation_examples_are_those_that_the_prompt_never_saw(here, tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    (folder / "task.toml").write_text(f"name = 'moods'\nlabel_words = {WORDS}\n")
    rows = [{"text": f"the film w{n}", "label": n % 2} for n in range(20)]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prompt = formats.load(here / ONE)[0]

    def trained(share):
        return replace(
            prompt, name=f"held{share}", config={**prompt.config, "training": {"holdout": share}}
        )

    for share, count in ((0.4, 8), (0.1, 2)):
        found = verbs.evaluate([trained(share)], folder, split="validation")
        assert found.comparison.n == count
        assert verbs.evaluate([trained(share)], folder, split="train").comparison.n == 20 - count
    with pytest.raises(
        DataError, match=r"set aside 0.4, 0.1 of the training examples of task moods"
    ):
        verbs.evaluate([trained(0.4), trained(0.1)], folder, split="validation")
    folded = replace(prompt, config={**prompt.config, "folds": 3})
    notes = verbs.evaluate([folded], folder, split="validation").notes
    assert any("a cross-validation of 3 folds" in line for line in notes)


def test_pairs_in_a_data_file_are_asked_in_a_template_of_their_columns(here, probe, tmp_path):
    rows = tmp_path / "pairs.csv"
    rows.write_text(
        "premise,hypothesis,label\n"
        "the film was sweet,the day was kind,bright\n"
        "the film was dull,the day was sad,dull\n"
    )
    asked = ("--template", "{premise} and {hypothesis} it was", "--zero-shot", "--json")
    found = probe("evaluate", ONE, "--task", rows, *asked)
    assert found.code == 0, found.err
    assert found.json["n"] == 2


def test_what_is_given_alone_in_python_is_one_and_not_its_letters(here):
    one = verbs.predict(ONE, "the film was sweet")
    assert [used.name for used in one.prompts] == ["one"]
    assert len(one.to_json()["predictions"]) == 1
    assert verbs.evaluate(ONE, here / "moods", hard="a good one").to_frame().shape[0] == 2
    assert verbs.find("bright", ONE, model=here / "model").prompts == 1
