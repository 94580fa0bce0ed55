"""`probe read` on the command line."""

import pytest


def test_the_first_line_is_an_answer_in_words(probe):
    result = probe("read", "sst2-text")
    assert result.code == 0
    first = result.out.splitlines()[0]
    assert "stands where it started; what they learned points to" in first
    assert "displacement: " in result.out and "start recorded" in result.out


def test_the_document_is_what_the_schema_says(probe, check_schema):
    found = probe("read", "sst2-text", "--json").json
    check_schema("read", found)
    assert [one["name"] for one in found["readings"]] == ["nearest", "displacement"]
    assert found["readings"][1]["start"] == "recorded"


@pytest.mark.slow
def test_readings_through_the_model_are_what_the_schema_says(probe, check_schema):
    names = ["sparse", "mixture", "promoted", "ask", "gradient"]
    result = probe("read", "sst2-text", "--readings", ",".join(names), "--json")
    check_schema("read", result.json)
    assert [one["name"] for one in result.json["readings"]] == names
    assert "names no text" in result.json["readings"][4]["refused"]
    shown = probe("read", "sst2-text", "--readings", "sparse,mixture,promoted,ask").out
    assert "16 tokens explain" in shown and "suppressed most" in shown and "without it" in shown


@pytest.mark.slow
def test_guesses_are_scored_in_the_prompt_s_place(probe, check_schema):
    result = probe(
        "read", "sst2-text", "--readings", "nearest", "--text-to-score", "a film", "--json"
    )
    check_schema("read", result.json)
    (scored,) = result.json["scored_texts"]
    assert scored["text"] == "a film" and scored["share"] <= 1 and scored["contexts"] == 16


def test_a_reading_there_is_none_of_is_wrong_usage(probe):
    result = probe("read", "sst2-text", "--readings", "lense")
    assert result.code == 2 and "found 'lense'" in result.err
