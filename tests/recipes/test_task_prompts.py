"""The count of readings that find the task of a sample prompt."""

import json

from recipes.readings.task_prompts import SAMPLES, said, start_kind, task_words

LISTED = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))["prompts"]


def test_a_task_s_words_are_its_labels_and_what_it_is_about():
    entry = next(one for one in LISTED if one["name"] == "mood-text")
    assert {"good", "bad"} & set(task_words(entry)) and "the" not in task_words(entry)
    assert start_kind(entry) == "chosen words"


def test_readings_that_a_prompt_has_not_are_left_out(home):
    entry = next(one for one in LISTED if one["name"] == "mood-text")
    found = [(number, one.name) for number, one in said([entry], "builtin", ["nearest", "mixture"])]
    assert found == [(0, "nearest")]
