"""A data file as a task: separators, columns by their names, labels as the rows say them."""

import pytest

from probe.datasets import load_task, load_wording, read_examples
from probe.errors import DataError
from probe.notes import collected

ROWS = [("A gem , truly .", "pos"), ("Dull .", "neg"), ("Fine .", "pos"), ("Awful .", "neg")]


def table(separator, header=("review", "verdict"), rows=ROWS):
    quoted = [f'"{text}"{separator}{label}' for text, label in rows]
    return "\n".join([separator.join(header), *quoted]) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_is_read_whatever_stands_between_its_columns(write, separator):
    path = write("rows.csv", table(separator, ("text", "label")))
    found = read_examples(path, labels=("neg", "pos"))
    assert [(one.text, one.label) for one in found] == [
        (text, int(label == "pos")) for text, label in ROWS
    ]


def test_the_header_decides_where_texts_hold_another_separator(write):
    path = write("rows.csv", "text,label\none; two,pos\n")
    assert read_examples(path, labels=("neg", "pos"))[0].text == "one; two"
    quoted = write("quoted.csv", '"text, as it is";label\none, two;pos\n')
    task = load_task(write("two.csv", "text;label\na;x\nb;y\n"), holdout=0)
    assert [one.text for one in task.train] == ["a", "b"]
    with pytest.raises(DataError, match="a column named 'text', found 'text, as it is', 'label'"):
        read_examples(quoted, labels=("neg", "pos"))


def test_a_data_file_is_a_task_whose_labels_are_what_its_rows_say(write):
    path = write("reviews.csv", table(";"))
    task = load_task(path, holdout=0, text_column="review", label_column="verdict")
    assert (task.name, task.kind, task.template) == ("reviews", "classification", "{text}")
    assert task.label_words == ("neg", "pos")
    assert [(one.text, one.label) for one in task.train][:2] == [(ROWS[0][0], 1), (ROWS[1][0], 0)]
    assert (task.validation, task.test) == ([], ())
    with pytest.raises(DataError, match="a column named 'label', found .*: name it with --label-c"):
        load_task(path, text_column="review")
    with pytest.raises(DataError, match="line 2: expected a column named 'body', found 'review'"):
        load_task(path, text_column="body", label_column="verdict")


def test_a_data_file_of_pairs_needs_no_text_but_the_columns_of_its_template(write):
    path = write("pairs.csv", "premise,hypothesis,label\nit rains,it is wet,yes\nsun,night,no\n")
    task = load_task(path, holdout=0, template="{premise} so {hypothesis}{prompt:3} ?")
    assert [one.text for one in task.train] == ["it rains | it is wet", "sun | night"]
    assert task.train[1].values == {"premise": "sun", "hypothesis": "night"}
    with pytest.raises(DataError, match="a column named 'premis', .*did you mean premise"):
        load_task(path, template="{premis} {hypothesis}")


def test_columns_of_one_name_are_refused(write):
    path = write("twice.csv", "text,text,label\na,b,x\n")
    with pytest.raises(
        DataError, match="line 1: expected columns of different names, found 'text'"
    ):
        load_task(path)


def test_a_mistyped_column_is_told_what_it_may_have_been(write):
    path = write("reviews.csv", table(","))
    with pytest.raises(DataError, match="'reviw', found 'review', 'verdict'; did you mean review?"):
        load_task(path, text_column="reviw", label_column="verdict")


def test_words_stand_for_labels_in_their_order_and_this_is_said(write):
    path = write("reviews.csv", table(","))
    columns = {"text_column": "review", "label_column": "verdict", "holdout": 0}
    with collected() as notes:
        task = load_task(path, label_words=["bad", ["good", "great"]], **columns)
    assert task.verbalizer == (("bad",), ("good", "great"))
    assert task.train[0].label == 1
    assert notes == [f"{path}: the labels and their words are neg → bad, pos → good"]
    with collected() as notes:
        own = load_task(path, label_words=[["pos", "good"], "neg"], **columns)
    assert own.verbalizer == (("neg",), ("pos", "good")), "the file's own words say which they are"
    assert notes == []
    with pytest.raises(DataError, match=r"a word for each of 2 labels \(neg, pos\), found 1 \(a\)"):
        load_task(path, label_words=["a"], **columns)


def test_numbers_need_words_and_are_ordered_by_their_size(write):
    path = write("stars.jsonl", "".join(f'{{"text": "t{n}", "label": {n}}}\n' for n in (10, 9)))
    with pytest.raises(DataError, match="labels are the numbers 9, 10: give a word for each"):
        load_task(path)
    task = load_task(path, label_words=["bad", "good"], holdout=0)
    assert [one.label for one in task.train] == [1, 0]


def test_labels_of_more_digits_than_python_counts_are_ordered_too(write):
    long = "1" * 5000
    path = write("ids.csv", f"text,label\na,{long}\nb,word\nc,20\nd,3\n")
    assert load_task(path, holdout=0).label_words == ("3", "20", long, "word")


def test_rows_with_targets_ask_for_texts(write):
    path = write("pairs.jsonl", '{"text": "two and two", "target": "four"}\n')
    assert load_task(path, holdout=0).train[0].target == "four"
    assert load_wording(path).kind == "generation"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("text,label\n", "expected examples, found no rows"),
        ("text,label\na,x\n", "two or more different labels, found x"),
        ("text,label\na,x\nb,\n", "line 3: expected a label, found ''"),
        (
            "text,label\n" + "".join(f"t,{n}\n" for n in range(200)),
            "at most 100 different labels, found more by line 102: is `label` another column",
        ),
    ],
)
def test_a_file_that_is_no_task_says_why(write, rows, message):
    with pytest.raises(DataError, match=message):
        load_task(write("rows.csv", rows))


def test_columns_and_words_of_a_task_file_can_be_replaced_too(write):
    write("mine/train.csv", "body,text,y\nThe film .,x,p\nA day .,x,n\n")
    file = write("mine/task.toml", 'label_words = ["good", "bad"]\nlabel_names = ["p", "n"]\n')
    task = load_task(
        file, holdout=0, text_column="body", label_column="y", label_words=["great", "awful"]
    )
    assert [(one.text, one.label) for one in task.train] == [("The film .", 0), ("A day .", 1)]
    assert task.label_words == ("great", "awful")
