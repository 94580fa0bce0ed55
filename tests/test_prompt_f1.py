"""Prompt F1 and token match: the cases of SQuAD's script, and texts without words."""

import pytest

from probe.metrics import normalised_words, prompt_f1, token_match


@pytest.mark.parametrize(
    ("decoded", "target", "f1"),
    [
        ("write a poem", "write a poem", 1.0),
        ("Write the poem!", "write a poem", 1.0),  # articles, case and punctuation do not count
        ("poem write", "write poem", 1.0),  # nor does order
        ("write", "write poem", 2 * 1 * 0.5 / 1.5),
        ("poem poem poem", "poem write", 2 * (1 / 3) * 0.5 / (1 / 3 + 0.5)),  # at most once
        ("sonnet", "write a poem", 0.0),
        ("it's", "its", 1.0),
        ("theory", "the ory", 0.0),  # an article inside a word stays
    ],
)
def test_f1_is_the_harmonic_mean_of_shared_words(decoded, target, f1):
    assert prompt_f1(decoded, target) == pytest.approx(f1)
    assert prompt_f1(target, decoded) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("decoded", "target", "f1"),
    [("...", " ... ", 1.0), ("...", "!", 0.0), ("the", "a", 0.0), ("", "", 1.0), ("", "poem", 0.0)],
)
def test_texts_without_words_count_by_exact_match(decoded, target, f1):
    assert prompt_f1(decoded, target) == f1


def test_words_are_those_of_squads_script():
    # normalize_answer("The U.S.A.'s  an Answer-sheet") of evaluate-v1.1.py, split
    assert normalised_words("The U.S.A.'s  an Answer-sheet") == ["usas", "answersheet"]


def test_token_match_is_the_share_of_equal_positions():
    assert token_match([1, 2, 3, 4], [1, 9, 3, 9]) == 0.5
    with pytest.raises(ValueError, match="found 1 and 2"):
        token_match([1], [1, 2])
