"""Files of known texts: what they hold, and which lines are refused."""

import pytest

from probe.distillation.known_texts import read_known_texts, spread
from probe.errors import DataError


def test_the_shipped_texts_are_many_differ_and_have_words_and_kinds():
    texts = read_known_texts()
    assert len(texts) == len({one.text for one in texts}) >= 48
    assert all(one.words for one in texts) and len({one.kind for one in texts}) == 6


def test_fewer_texts_are_taken_from_all_over_the_list():
    texts = read_known_texts()
    few = spread(texts, 6)
    assert few[0] == texts[0] and few[-1] == texts[-1] and len({one.kind for one in few}) > 3
    assert spread(texts, None) == spread(texts, 1000) == texts


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("not json", "line 2: expected an object such as"),
        ("[1]", r"line 2: expected an object such as .*found '\[1\]'"),
        ('{"words": ["a"]}', "line 2: .*found no text"),
        ('{"text": " ", "words": ["a"]}', "line 2: .*found no text"),
        ('{"text": "a"}', "line 2: .*found no list of content words"),
        ('{"text": "a", "words": []}', "line 2: .*found no list of content words"),
        ('{"text": "a", "words": [1]}', "line 2: .*found no list of content words"),
        ('{"text": "a", "words": ["a"], "kind": 3}', "line 2: expected a kind in words, found 3"),
        ('{"text": "a \\ud800", "words": ["a"]}', "line 2: .*found half of a character"),
        ('{"text": "a {name}", "words": ["a"]}', "line 2: .*to distil without {name}, found"),
        ('{"text": "b", "words": ["c"]}', "expected every text once, found 'b'"),
        ("", "expected two or more different texts, to tell them apart, found 1"),
    ],
)
def test_a_line_that_is_no_known_text_is_refused_with_its_number(line, said, tmp_path):
    path = tmp_path / "texts.jsonl"
    more = '{"text": "d", "words": ["d"]}\n' if '"b"' in line else ""
    path.write_text(f'{{"text": "b", "words": ["b"]}}\n{line}\n{more}')
    with pytest.raises(DataError, match=said):
        read_known_texts(path)


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match="expected a JSON-lines file of texts with their content"):
        read_known_texts(tmp_path / "none.jsonl")
