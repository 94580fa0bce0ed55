"""Metrics against closed forms, scikit-learn and the rouge-score library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import f1_score

from probe.metrics import accuracy, exact_matches, macro_f1, rouge_l_scores

words = st.lists(st.sampled_from(["the", "cat", "Sat", "on", "mat.", "-", "ünd", "42"]), max_size=9)


def test_accuracy_is_the_share_that_is_right():
    assert accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75


def test_macro_f1_weighs_a_rare_label_like_a_common_one():
    labels = np.array([0] * 9 + [1])
    assert macro_f1(np.zeros(10, int), labels) == pytest.approx((2 * 9 / 19 + 0) / 2)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_macro_f1_is_that_of_scikit_learn(pairs):
    predicted, labels = np.array(pairs).T
    expected = f1_score(labels, predicted, average="macro", zero_division=0)
    assert macro_f1(predicted, labels) == pytest.approx(expected)


def test_an_exact_match_ignores_white_space_only():
    assert exact_matches([" a  b\n", "A b", ""], ["a b", "a b", " "]).tolist() == [1, 0, 1]


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence():
    """Lin 2004, section 3.1: police killed the gunman."""
    target = "police killed the gunman"
    scores = rouge_l_scores(
        ["police kill the gunman", "the gunman kill police", "gunman, the killed POLICE!", ""],
        [target] * 4,
    )
    assert scores.tolist() == [0.75, 0.5, 0.25, 0]


@given(words, words)
def test_rouge_l_is_that_of_the_rouge_score_library(prediction, target):
    prediction, target = " ".join(prediction), " ".join(target)
    expected = RougeScorer(["rougeL"]).score(target, prediction)["rougeL"].fmeasure
    assert rouge_l_scores([prediction], [target])[0] == pytest.approx(expected)


@pytest.mark.parametrize("metric", [accuracy, macro_f1])
def test_predictions_and_labels_must_be_as_many(metric):
    with pytest.raises(ValueError, match=r"found shapes \(2,\) and \(3,\)"):
        metric(np.zeros(2, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="one or more"):
        metric(np.zeros(0, int), np.zeros(0, int))


@pytest.mark.parametrize("metric", [exact_matches, rouge_l_scores])
def test_predictions_and_targets_must_be_as_many(metric):
    with pytest.raises(ValueError, match="found 1 and 2"):
        metric(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="one or more"):
        metric([], [])
