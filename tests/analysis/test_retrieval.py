"""The place of the right one among N, ties and intervals."""

import numpy as np
import pytest

from probe.analysis.reading_rates import places, retrieval


def test_the_best_score_is_first_and_the_reciprocal_of_the_rank_is_told():
    scores = np.array([[3.0, 2, 1, 0, -1, -2], [3, 2, 1, 0, -1, -2], [3, 2, 1, 0, -1, -2]])
    found = retrieval(scores, np.array([0, 1, 5]))
    assert found.top1.value == pytest.approx(1 / 3)
    assert found.top5.value == pytest.approx(2 / 3)
    assert found.mrr.value == pytest.approx((1 + 1 / 2 + 1 / 6) / 3)


def test_what_scores_nothing_finds_as_much_as_chance_does():
    found = retrieval(np.zeros((20, 10)), np.arange(20) % 10)
    assert found.top1.value == pytest.approx(0.1) and found.top5.value == pytest.approx(0.5)
    assert found.mrr.value == pytest.approx(np.mean(1 / np.arange(1, 11)))
    assert found.top1.interval == pytest.approx((0.1, 0.1))
    better, ties = places(np.zeros((1, 10)), np.array([3]))
    assert (better, ties) == (0, 10)


def test_intervals_are_over_texts_so_that_more_seeds_of_one_text_make_none_narrower():
    scores = np.eye(8)[np.repeat(np.arange(8), 1)]
    scores[4:] = 1 - scores[4:]  # half of the texts are found
    once = retrieval(scores, np.arange(8)).top1
    often = retrieval(np.repeat(scores, 50, 0), np.repeat(np.arange(8), 50)).top1
    assert once.value == often.value == 0.5
    assert once.interval == often.interval and once.interval[1] - once.interval[0] > 0.3


def test_the_interval_is_of_the_same_mean_as_the_value_where_texts_have_unequal_numbers():
    right = np.repeat(np.arange(8), [90, 1, 1, 1, 1, 1, 1, 1])
    scores = np.eye(8)[np.where(right == 0, 0, (right + 1) % 8)]  # only the first text is found
    found = retrieval(scores, right).top1
    assert found.value > 0.9 and found.interval[0] <= found.value <= found.interval[1]
