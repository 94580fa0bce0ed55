"""Tasks by name and by file: definitions, where rows come from, and what is refused."""

import json
from pathlib import Path

import pytest

from probe.datasets import load_task, load_wording, split_validation, task_names
from probe.datasets.definition import definition_toml, read_definition
from probe.errors import DataError
from probe.task import Example

SHARED_DATA = Path(__file__).parents[2].parent / "shared" / "data"

TASK = """
template = "{text} It was"
label_words = ["bad", "good"]
label_names = ["negative", "positive"]
licence = "CC0-1.0"
"""
ROWS = "text,label\n" + "".join(
    f"row {n},{'positive' if n % 2 else 'negative'}\n" for n in range(20)
)
PAPER = {
    "sst2": ("{text} It was {label} .", ("terrible", "great")),
    "sst5": ("{text} It was {label} .", ("terrible", "bad", "okay", "good", "great")),
    "agnews": ("{text} Subject: {label}.", ("World", "Sports", "Business", "Technology")),
    "subj": ("{text} It's all {label} .", ("subjective", "objective")),
    "trec": (
        "{text} Q: {label} :",
        ("Description", "Entity", "Expression", "Human", "Location", "Number"),
    ),
}

TENTH = [1, 9, 15, 49, 53, 54, 64, 68, 70, 94]
"""Of 100 rows, those that validated every run so far: their scores must stay comparable."""


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_tasks_have_its_templates_and_label_words(name, write, tmp_path):
    write(f"{name}/train.jsonl", "".join(f'{{"text": "{n}", "label": 0}}\n' for n in range(30)))
    write(f"{name}/test.jsonl", '{"text": "x", "label": 1}\n')
    task = load_task(name, tmp_path)
    assert (task.template, task.label_words) == PAPER[name]
    assert (len(task.train), len(task.validation), len(task.test)) == (27, 3, 1)
    assert (task.kind, task.metric) == ("classification", "accuracy")


SIZES = {
    "sst2": (6920, 872, 1821),
    "sst5": (8544, 1101, 2210),
    "agnews": (5053, 562, 7600),
    "subj": (7198, 800, 2000),
    "trec": (4903, 549, 500),
}
OWN_VALIDATION = ("sst2", "sst5")  # and texts that are in training, too


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="the paper's data sets are not here")
@pytest.mark.parametrize("name", SIZES)
def test_the_papers_real_rows_are_read_whole(name):
    task = load_task(name, SHARED_DATA)
    assert (len(task.train), len(task.validation), len(task.test)) == SIZES[name]
    assert {e.label for e in task.test} == set(range(len(task.label_words)))
    assert (
        not {e.text for e in task.validation} & {e.text for e in task.train}
        or name in OWN_VALIDATION
    )


def test_a_task_file_says_template_labels_and_licence(write, tmp_path):
    file = write("mine/task.toml", TASK)
    write("mine/train.csv", ROWS)
    write("mine/dev.jsonl", '{"text": "v", "label": 1}\n')
    for where in (file, file.parent, str(file.parent)):
        task = load_task(where)
        assert task.name == "mine"
        assert (task.licence, task.label_words) == ("CC0-1.0", ("bad", "good"))
        assert task.train[1] == Example("row 1", 1)
        assert (task.validation, task.test) == ([Example("v", 1)], ())


def test_without_validation_rows_the_split_is_the_deterministic_one(write):
    folder = write("mine/task.toml", TASK).parent
    write("mine/train.csv", ROWS)
    rows = [Example(f"row {n}", n % 2) for n in range(20)]
    task = load_task(folder)
    assert (task.train, task.validation) == split_validation(rows)
    assert len(task.validation) == 2


def test_another_share_of_the_training_rows_may_validate_or_none(write):
    folder = write("mine/task.toml", TASK).parent
    lines = [f'{{"text": "row {n}", "label": {n % 2}}}\n' for n in range(100)]
    write("mine/train.jsonl", "".join(lines))
    rows = [Example(f"row {n}", n % 2) for n in range(100)]
    usual = load_task(folder)
    assert usual == load_task(folder, holdout=0.1)
    assert [int(one.text[4:]) for one in usual.validation] == TENTH
    third = load_task(folder, holdout=0.3)
    assert (len(third.train), len(third.validation)) == (70, 30)
    assert set(usual.validation) < set(third.validation)
    whole = load_task(folder, holdout=0)
    assert (whole.train, whole.validation) == (rows, [])
    write("mine/dev.jsonl", '{"text": "v", "label": 1}\n')
    assert load_task(folder, holdout=0.3).validation == [Example("v", 1)]


def test_files_and_columns_may_have_other_names(write):
    folder = write(
        "mine/task.toml",
        TASK + '[files]\ntrain = "a/rows.csv"\n[columns]\ntext = "s"\nlabel = "y"\n',
    ).parent
    write("mine/a/rows.csv", ROWS.replace("text,label", "s,y"))
    assert load_task(folder).train[0] == Example("row 0", 0)


def test_a_data_dir_takes_the_place_of_the_rows_beside_the_file(write, tmp_path):
    folder = write("mine/task.toml", TASK).parent
    write("mine/train.csv", ROWS)
    write("data/mine/train.csv", ROWS.replace("row", "other"))
    assert load_task(folder, tmp_path / "data").train[0].text == "other 0"


def test_a_generation_task_has_targets_and_exact_match(write):
    folder = write("mine/task.toml", 'kind = "generation"\n').parent
    write("mine/test.jsonl", '{"text": "a b", "target": "a"}\n')
    task = load_task(folder)
    assert (task.metric, task.test) == ("exact_match", [Example("a b", target="a")])


def test_an_unknown_task_lists_the_known_ones(tmp_path):
    with pytest.raises(
        DataError, match=r"task nope: expected one of sst2, .*mood.*, a folder with"
    ):
        load_task("nope")
    with pytest.raises(DataError, match="a folder with a task.toml"):
        load_task(tmp_path)
    assert task_names()[:5] == tuple(PAPER)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("label_words = 3", r"task\.toml, label_words: expected a list of texts, found 3"),
        ("label_words = [3]", r"task\.toml, label_words: expected a text, found 3"),
        ("labels = ['a']", r"expected only the keys name, kind, .*, found labels"),
        (TASK + "[columns]\ntxt = 'a'", r"columns: expected only the keys text, label, target"),
        (TASK + "[files]\ndev = 'a'", r"files: expected only the keys train, validation, test"),
        (TASK + "[hub]\nrevision = 'a'", r"hub: expected the key id, found none"),
        (TASK + "hub = 'a/b'", r"hub: expected a table with the keys id, .* found 'a/b'"),
        (TASK.replace('"positive"', ""), r"one label name per label word \(2\), found 1"),
        (TASK.replace('"bad"', '"good"'), r"two or more different label words"),
        (TASK.replace("{text}", ""), r"the template needs \{text\} once"),
        (TASK + "metric = 'bleu'", r"metric one of .* and 'bleu'"),
        (TASK + "metric = ", r"task\.toml: expected a TOML task file"),
    ],
)
def test_a_bad_task_file_is_refused_with_its_key(write, task, message):
    file = write("mine/task.toml", task)
    write("mine/train.csv", ROWS)
    with pytest.raises(DataError, match=message):
        load_task(file)


@pytest.mark.parametrize("name", ["../../escaped", "a\\b", "a\nb", "a\x7f", "a\u2028b"])
def test_a_name_that_no_file_could_have_is_one_clear_line(write, name):
    file = write("mine/task.toml", f"name = {json.dumps(name)}\n".replace("\x7f", "\\u007f") + TASK)
    with pytest.raises(DataError, match="name: expected one without slashes") as found:
        load_wording(file)
    assert str(found.value).isprintable()


def test_half_a_character_in_a_folders_name_is_no_name(tmp_path):
    folder = tmp_path / "a\udcff"
    folder.mkdir()
    (folder / "task.toml").write_text(TASK)
    with pytest.raises(DataError, match="name: expected one without slashes"):
        load_wording(folder)
    (folder / "task.toml").write_text('name = "Стихи и проза, 2.0"' + TASK)
    assert load_wording(folder).name == "Стихи и проза, 2.0"


def test_rows_that_are_not_there_are_named(write, tmp_path):
    folder = write("mine/task.toml", TASK).parent
    with pytest.raises(DataError, match=r"expected train\.jsonl, test\.jsonl or the like in"):
        load_task(folder)
    with pytest.raises(DataError, match="found no such folder"):
        load_task("sst2", tmp_path)
    write("mine/train.csv", ROWS)
    write("mine/train.jsonl", "")
    with pytest.raises(DataError, match=r"one file of train examples, found train\.jsonl, train"):
        load_task(folder)
    (folder / "train.csv").unlink()
    with pytest.raises(DataError, match="task mine: expected train examples, found no rows"):
        load_task(folder)


def test_the_wording_of_a_task_needs_no_rows(write):
    paper = load_wording("trec")
    assert (paper.template, paper.label_words) == PAPER["trec"]
    assert not (paper.train or paper.validation or paper.test)
    own = load_wording(write("mine/task.toml", TASK))
    assert (own.name, own.template, own.metric) == ("mine", "{text} It was", "accuracy")
    with pytest.raises(DataError, match="task nothing: expected one of"):
        load_wording("nothing")


def test_sentence_pairs_are_read_by_the_columns_that_the_template_names(write):
    words = 'label_words = ["no", "yes"]\ntemplate = "{sentence1} Same as {sentence2}"\n'
    file = write("mrpc/task.toml", words)
    write("mrpc/train.csv", "idx,sentence1,sentence2,label\n7,A dog .,A cat .,no\n8,A .,B .,yes\n")
    task = load_task(file, holdout=0)
    first = task.train[0]
    assert (first.text, first.label) == ("A dog . | A cat .", 0)
    assert task.fill(first) == "A dog . Same as A cat ."
    assert first.values["idx"] == "7"
    write("mrpc/train.csv", "sentence1,label\nA dog .,no\n")
    with pytest.raises(DataError, match=r"line 2: expected a column named 'sentence2', found"):
        load_task(file)


def test_other_columns_stand_beside_the_text_under_both_its_names(write):
    file = write("mine/task.toml", TASK + '[columns]\ntext = "review"\n')
    write("mine/train.jsonl", '{"review": "Fine .", "label": 1, "place": "Rome"}\n')
    example = load_task(file, holdout=0).train[0]
    assert example.text == "Fine ."
    assert dict(example.values) == {"text": "Fine .", "review": "Fine .", "place": "Rome"}


def test_a_label_may_have_several_words_in_a_task_file(write):
    words = 'label_words = [["great", "good"], "bad"]\nlabel_names = ["p", "n"]\n'
    task = load_wording(write("mine/task.toml", words))
    assert task.verbalizer == (("great", "good"), ("bad",))
    definition = read_definition(write("mine/task.toml", words))
    assert read_definition(write("mine/task.toml", definition_toml(definition))) == definition
    with pytest.raises(DataError, match=r"one or more words for each label, found \[\[\], 'bad'\]"):
        load_wording(write("mine/task.toml", 'label_words = [[], "bad"]'))
