"""Reading examples and texts: every format gives the same, every bad line is named."""

import json

import pandas as pd
import pytest

from probe.datasets import Columns, read_asked, read_examples
from probe.errors import DataError
from probe.task import Example

LABELS = ("negative", "positive")
ROWS = [
    {"text": 'She said "no", twice\nand left .', "label": 0},
    {"text": "a line\u2028separator, and ünïcode", "label": 1},
    {"text": "fine", "label": 1},
]


def _write(path, rows):
    frame = pd.DataFrame(rows)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
def test_every_format_gives_the_same_examples(tmp_path, suffix):
    path = _write(tmp_path / f"train.{suffix}", ROWS)
    assert read_examples(path, labels=LABELS) == [Example(r["text"], r["label"]) for r in ROWS]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
def test_a_text_may_be_as_long_as_a_book(tmp_path, suffix):
    long = "word " * 40_000
    path = _write(tmp_path / f"train.{suffix}", [{"text": long, "label": 1}])
    assert read_examples(path, labels=LABELS) == [Example(long, 1)]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
def test_labels_may_be_names_and_columns_may_have_other_names(tmp_path, suffix):
    rows = [{"s": row["text"], "y": LABELS[row["label"]], "more": 1.5} for row in ROWS]
    path = _write(tmp_path / f"train.{suffix}", rows)
    columns = Columns(text="s", label="y")
    found = read_examples(path, labels=LABELS, columns=columns)
    assert [example.label for example in found] == [0, 1, 1]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("kind", [str, int, float])
def test_a_label_named_like_a_number_is_that_label(tmp_path, suffix, kind):
    if kind is float and suffix in ("csv", "tsv"):
        kind = int  # a text there, and no number that a gap made a float
    rows = [{"text": "x", "label": kind(name)} for name in (1, 0, 5)]
    path = _write(tmp_path / f"train.{suffix}", rows)
    assert [e.label for e in read_examples(path, labels=("1", "0", "5"))] == [0, 1, 2]


def test_an_integer_column_with_gaps_is_still_read_until_the_gap(tmp_path):
    path = _write(tmp_path / "train.parquet", [{"text": "a", "label": 1}, {"text": "b"}])
    with pytest.raises(DataError, match=r"train\.parquet, row 2: expected 'label' to be 0 to 1"):
        read_examples(path, labels=LABELS)


def test_a_generation_row_has_a_target(write):
    path = write("train.jsonl", '{"text": "a b", "target": "a"}\n')
    assert read_examples(path, kind="generation", labels=()) == [Example("a b", target="a")]


def test_blank_lines_and_a_byte_order_mark_are_passed_over(write):
    path = write("train.jsonl", '\ufeff\n{"text": "a", "label": 1}\r\n\n')
    assert read_examples(path, labels=LABELS) == [Example("a", 1)]


GOOD = '{"text": "a", "label": 1}\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t.jsonl",
            GOOD + '{"text": "a", "label": 1',
            r"line 2: expected one JSON object per line",
        ),
        ("t.jsonl", GOOD + "[" * 100_000, r"line 2: expected one JSON object"),
        ("t.jsonl", GOOD + '["a", 1]', r"line 2: expected a JSON object, found \['a', 1\]"),
        (
            "t.jsonl",
            GOOD + '{"label": 1}',
            r"line 2: expected a column named 'text', found 'label'",
        ),
        (
            "t.jsonl",
            GOOD * 2 + '{"text": " ", "label": 1}',
            r"line 3: expected 'text' .* not empty",
        ),
        ("t.jsonl", GOOD + '{"text": 7, "label": 1}', r"line 2: expected 'text' to be a text"),
        (
            "t.jsonl",
            GOOD + '{"text": "a \\ud800 b", "label": 1}',
            r"line 2: expected 'text' to be text that UTF-8 can hold, found half of a character",
        ),
        ("t.jsonl", '{"text": "a", "label": 2}', r"line 1: .* 0 to 1 or one of negative, positive"),
        ("t.jsonl", '{"text": "a", "label": true}', r"line 1: expected 'label' .* found True"),
        ("t.jsonl", '{"text": "a", "label": 0.5}', r"line 1: expected 'label' .* found 0.5"),
        ("t.jsonl", '{"text": "a", "label": NaN}', r"line 1: expected 'label' .* found nan"),
        ("t.jsonl", '{"text": "a", "label": "' + "9" * 5000 + '"}', r"line 1: expected 'label'"),
        ("t.jsonl", GOOD.encode() + b'{"text": "\xff"}', r"line 2: expected UTF-8 .* byte 0xff"),
        ("t.jsonl", "", "expected examples, found no rows"),
        ("t.csv", "text,label\n", "expected examples, found no rows"),
        ("t.csv", 'text,label\n"two\nlines",1\nx,3\n', r"line 4: expected 'label' .* found '3'"),
        (
            "t.csv",
            "text,label\na,1\nb, c,1\n",
            r"line 3: expected 2 cells \(text, label\), found 3",
        ),
        ("t.csv", 'text,label\na,1\n"b,1\n', r"line 3: expected a CSV row \(unexpected end"),
        ("t.csv", "sentence,label\na,1\n", r"line 2: expected a column named 'text', found 'sent"),
        ("t.parquet", b"PAR1 and nothing else", r"t\.parquet: expected a Parquet file"),
        ("t.xml", "<a/>", r"expected a file named \*\.jsonl, .*, found \.xml"),
    ],
)
def test_a_bad_line_is_named_with_what_was_expected(write, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_examples(write(name, content), labels=LABELS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_half_a_character_is_refused_in_targets_and_texts_too_and_a_whole_one_read(write):
    half = write("half.jsonl", '{"text": "a", "target": "\\ud800"}\n')
    with pytest.raises(DataError, match=r"line 1: expected 'target' to be text that UTF-8"):
        read_examples(half, kind="generation", labels=())
    with pytest.raises(DataError, match=r"line 1: expected 'target' to be text that UTF-8"):
        read_asked(half, text_column="target")
    assert read_asked(write("whole.jsonl", '{"text": "\\ud83d\\ude00"}\n')) == [{"text": "😀"}]


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: expected a data file, found nothing there"):
        read_examples(tmp_path / "none.csv", labels=LABELS)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="found a folder"):
        read_examples(tmp_path / "folder.csv", labels=LABELS)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("probe.datasets.rows.MAX_BYTES", 10)
    path = _write(tmp_path / "t.jsonl", ROWS)
    with pytest.raises(DataError, match="expected at most 10 bytes"):
        read_examples(path, labels=LABELS)


def test_texts_come_from_lines_or_from_a_column(write):
    lines = read_asked(write("in.txt", "one\r\n\n two \n"))
    column = read_asked(write("in.csv", "s,n\none,1\ntwo,2\n"), text_column="s")
    assert [row["text"] for row in lines] == ["one", " two "]
    assert [row["text"] for row in column] == ["one", "two"]
    rows = read_asked(write("in.jsonl", '{"text": "one", "label": "?"}\n'))
    assert rows == [{"text": "one", "label": "?"}]


def test_a_file_without_texts_is_refused(write):
    with pytest.raises(DataError, match=r"in\.txt: expected texts, found none"):
        read_asked(write("in.txt", "\n \n"))
    with pytest.raises(DataError, match=r"in\.csv, line 2: expected a column named 'text'"):
        read_asked(write("in.csv", "s\none\n"), text_column="text")
