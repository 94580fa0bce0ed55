"""Rank correlations of transfer and similarity, against SciPy and by closed form."""

import json

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from probe.analysis.transfer import (
    Transfer,
    TransferCell,
    TransferTask,
    rank_correlation,
)


def test_it_is_scipy_s_correlation_averaged_over_the_targets(rng):
    similarity = rng.normal(size=(6, 6))
    scores = rng.normal(size=(6, 3))
    tasks = [0, 1, 2, 0, None, 1]
    found = rank_correlation("m", similarity, scores, tasks, same_task=True, permutations=20)
    rho, tau = [], []
    for j, task in enumerate(tasks):
        if task is None:
            continue
        others = [i for i in range(6) if i != j]
        rho.append(spearmanr(similarity[others, j], scores[others, task]).statistic)
        tau.append(kendalltau(similarity[others, j], scores[others, task]).statistic)
    assert found.spearman == pytest.approx(np.mean(rho))
    assert found.kendall == pytest.approx(np.mean(tau))
    assert (found.targets, found.pairs) == (5, 25)


def test_similarity_that_is_transfer_correlates_wholly_and_is_not_chance(rng):
    scores = rng.normal(size=(7, 7))
    tasks = list(range(7))
    found = rank_correlation("m", scores, scores, tasks, same_task=False)
    assert (found.spearman, found.kendall) == (pytest.approx(1), pytest.approx(1))
    assert found.p_value < 0.01
    opposite = rank_correlation("m", -scores, scores, tasks, same_task=False)
    assert opposite.spearman == pytest.approx(-1) and opposite.p_value < 0.01


def test_under_chance_p_values_are_uniform():
    drawn = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = rank_correlation(
            "m",
            rng.normal(size=(8, 8)),
            rng.normal(size=(8, 8)),
            list(range(8)),
            same_task=True,
            permutations=199,
        )
        drawn.append(found.p_value)
    assert 0.35 < np.mean(drawn) < 0.65
    assert np.mean(np.array(drawn) < 0.1) < 0.25


def test_sources_of_the_target_s_own_task_can_be_left_out(rng):
    """Two prompts per task: twins are alike and do well, which says nothing of other tasks."""
    tasks = [0, 0, 1, 1, 2, 2]
    alike = np.equal.outer(tasks, tasks).astype(float) + rng.normal(size=(6, 6)) / 100
    scores = np.eye(3)[tasks] + rng.normal(size=(6, 3)) / 100
    whole = rank_correlation("m", alike, scores, tasks, same_task=True)
    between = rank_correlation("m", alike, scores, tasks, same_task=False)
    assert (whole.pairs, between.pairs) == (30, 24)
    assert whole.spearman > between.spearman


def test_too_few_or_constant_sources_give_no_number():
    two = rank_correlation("m", np.eye(2), np.eye(2), [0, 1], same_task=True)
    assert (two.targets, two.spearman, two.kendall, two.p_value) == (0, None, None, None)
    flat = rank_correlation("m", np.ones((5, 5)), np.eye(5), [0, 1, 2, 3, 4], same_task=True)
    assert flat.spearman is None


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="3 prompts need similarities of shape"):
        rank_correlation("m", np.eye(2), np.eye(3), [0, 1, 2], same_task=True)


def test_the_matrix_holds_prompts_by_tasks():
    cells = tuple(
        TransferCell(p, t, float(10 * i + j), (0, 1), 0.1, (-1, 1))
        for i, p in enumerate("ab")
        for j, t in enumerate("xyz")
    )
    tasks = tuple(TransferTask(t, "accuracy", 5) for t in "xyz")
    found = Transfer(("a", "b"), ("x", None), tasks, cells, refused=(("cka", "lengths differ"),))
    np.testing.assert_array_equal(found.scores, [[0, 1, 2], [10, 11, 12]])
    assert found.gains.shape == (2, 3)
    assert len(found.to_frame()) == 6
    document = found.to_json()
    assert document["prompts"] == [
        {"name": "a", "trained_on": "x"},
        {"name": "b", "trained_on": None},
    ]
    assert document["refused"] == [{"measure": "cka", "reason": "lengths differ"}]
    assert Transfer.from_json(json.loads(json.dumps(document))) == found
