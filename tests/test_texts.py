"""One set of rules for what can be shown and stored."""

import json
import math

import numpy as np
import pytest

from probe.charts.labels import visible as chart_visible
from probe.cli.output import visible as printed
from probe.tables.tokens import visible as token_visible
from probe.texts import as_json, counted, duration_range, is_one_line, visible


@pytest.mark.parametrize("character", ["\x1b", "\u202e", "\u200b", "\ue000", "\ud800", "\u2028"])
def test_no_page_table_or_figure_shows_a_character_that_another_escapes(character: str) -> None:
    for show in (visible, printed, chart_visible, token_visible):
        assert character not in show(f"a{character}b") and "\\" in show(f"a{character}b")


def test_text_that_people_write_is_shown_as_it_is() -> None:
    for text in ("naïve café", "日本語", "a\u00a0b", "👍"):
        assert visible(text) == printed(text) == chart_visible(text) == text


def test_a_name_on_one_line_may_hold_joiners_but_no_line_end() -> None:
    assert is_one_line("👩\u200d🔬 lab")
    assert not any(map(is_one_line, ("a\nb", "a\x7f", "a\u2028b", "a\ud800")))


def test_whatever_is_given_becomes_a_document_that_strict_json_takes() -> None:
    hard = {1: math.nan, "a": (np.float32("inf"), np.int64(3), np.bool_(True)), "b": "\ud800"}
    document = as_json(hard)
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "1": None, "a": [None, 3, True], "b": "?",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 prompts"), (1, "1 prompt"), (2, "2 prompts"), (1200, "1,200 prompts")],
)
def test_one_thing_is_not_several(number: int, words: str) -> None:
    assert counted(number, "prompt") == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [((35.8, 44.6), "36 s to 45 s"), ((59, 3700), "59 s to 1 h 1 min"), ((40.1, 40.4), "40 s")],
)
def test_a_range_of_equal_words_is_one(seconds: tuple[float, float], words: str) -> None:
    assert duration_range(*seconds) == words
