"""Target sets: those that come with probe, files, and what is refused."""

import json

import pytest

from probe.datasets import task_names
from probe.errors import DataError
from probe.studies.targets import Target, read_targets, spread_over_lengths, target_sets
from probe.tables import load_vocabulary


def test_shipped_sets_are_of_the_promised_size_and_length():
    assert target_sets() == ("definitions", "instructions", "web")
    encode = load_vocabulary("builtin").encode
    for name in ("instructions", "web"):
        found = read_targets(name)
        lengths = [len(encode(target.text)) for target in found]
        assert len(found) >= 30 and len({target.text for target in found}) == len(found)
        assert min(lengths) <= 5 and max(lengths) >= 50 and max(lengths) <= 60
        assert {(target.kind, target.task) for target in found} == {(name, None)}


def test_every_classification_task_has_a_true_and_a_contradictory_definition():
    by_task = {}
    for target in read_targets("definitions"):
        by_task.setdefault(target.task, []).append(target.kind)
    assert set(by_task) == set(task_names()) - {"shorten"}
    assert all(kinds == ["true", "contradictory"] for kinds in by_task.values())


def test_words_may_be_a_target_themselves():
    assert read_targets("text: soup: it is ") == [Target("soup: it is", "text")]


def test_files_of_all_three_kinds_are_read(tmp_path):
    (tmp_path / "mine.txt").write_text("One text.\n\n  Another.  \nOne text.\n")
    assert read_targets(tmp_path / "mine.txt") == [
        Target("One text.", "mine"),
        Target("Another.", "mine"),
    ]
    rows = [{"text": "a", "kind": "k", "task": "t"}, {"text": "b"}]
    (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_targets(tmp_path / "more.jsonl") == [Target("a", "k", "t"), Target("b", "more")]
    (tmp_path / "defs.toml").write_text('[t]\ntrue = "yes"\n')
    assert read_targets(tmp_path / "defs.toml") == [Target("yes", "true", "t")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_text_may_hold_a_line_separator_that_ends_no_line(tmp_path, end):
    odd = "one\u2028two\x85three"
    (tmp_path / "a.txt").write_bytes(f"{odd}{end}{end}next{end}".encode())
    assert [target.text for target in read_targets(tmp_path / "a.txt")] == [odd, "next"]
    rows = [json.dumps({"text": text}, ensure_ascii=False) for text in (odd, "next")]
    (tmp_path / "a.jsonl").write_bytes(end.join(rows).encode())
    assert [target.text for target in read_targets(tmp_path / "a.jsonl")] == [odd, "next"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "\n\n", "at least one text"),
        ("a.jsonl", '{"text": "a"}\n{"txet": "b"}', "line 2: expected text"),
        ("a.jsonl", "no json", "line 1: expected one JSON object"),
        ("a.jsonl", '{"kind": "b"}', "expected a text, found"),
        ("a.jsonl", '{"text": 3}', "texts that are not empty"),
        ("a.jsonl", '{"text": "b \\ud800"}', "line 1: expected text that UTF-8 can hold"),
        ("a.toml", "t = 1", "expected a table"),
        ("a.toml", "t = ", "expected TOML"),
        ("a.csv", "text", "expected one of definitions, instructions, web, text:WORDS, or a file"),
    ],
)
def test_what_is_no_target_file_is_one_clear_line(name, text, words, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words):
        read_targets(tmp_path / name)


def test_a_few_targets_run_from_the_shortest_to_the_longest():
    targets = [Target("x" * n, "k") for n in (5, 1, 4, 2, 3)]
    texts = [len(target.text) for target in spread_over_lengths(targets, len, 3)]
    assert texts == [1, 3, 5]
    assert len(spread_over_lengths(targets, len, None)) == 5
