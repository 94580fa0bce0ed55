"""What somebody who mistyped a name may have meant."""

from probe.texts import closest, did_you_mean

NAMES = ("sst2-text", "sst2-vocab", "trec-text", "mean_token_cosine")


def test_the_likeliest_name_comes_first_and_three_are_enough():
    assert closest("sst2-txt", NAMES)[0] == "sst2-text"
    assert len(closest("x", [f"x{n}" for n in range(9)])) <= 3


def test_letter_case_does_not_hide_a_name():
    assert closest("SST2-TEXT", NAMES)[0] == "sst2-text"


def test_the_beginning_or_a_part_of_a_long_name_is_enough():
    assert closest("tr", NAMES) == ["trec-text"]
    assert closest("cosin", NAMES) == ["mean_token_cosine"]


def test_nothing_like_it_suggests_nothing():
    assert did_you_mean("xyzzy", NAMES) == ""
    assert did_you_mean("trec-txt", ["trec-text"]) == "; did you mean trec-text?"
