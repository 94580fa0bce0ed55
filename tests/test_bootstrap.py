"""The bootstrap: closed forms, pairing, and what intervals are for."""

import numpy as np
import pytest

from probe import bootstrap
from probe.bootstrap import Bootstrap, Estimate, Sampled, mean_of


def test_a_column_of_one_number_has_no_spread():
    assert Bootstrap(7).means(np.full((7, 1), 0.3)) == pytest.approx(np.full((2000, 1), 0.3))


def test_the_spread_of_a_mean_is_that_of_the_closed_form():
    column = np.random.default_rng(0).normal(size=(50, 1))
    means = Bootstrap(50, 20_000).means(column)[:, 0]
    assert means.mean() == pytest.approx(column.mean(), abs=0.005)
    assert means.std() == pytest.approx(column.std() / np.sqrt(50), rel=0.02)


def test_every_resample_draws_as_many_examples_as_there_are():
    counts = Bootstrap(5, 100).means(np.eye(5)) * 5
    assert counts.sum(axis=1) == pytest.approx(np.full(100, 5))
    assert np.all(counts == counts.round())


def test_resamples_are_the_same_at_every_call_and_in_chunks_of_any_size(monkeypatch):
    columns = np.random.default_rng(1).normal(size=(11, 3))
    whole = Bootstrap(11, 100, seed=4).means(columns)
    np.testing.assert_array_equal(Bootstrap(11, 100, seed=4).means(columns), whole)
    monkeypatch.setattr(bootstrap, "_NUMBERS_AT_ONCE", 30)
    np.testing.assert_allclose(Bootstrap(11, 100, seed=4).means(columns), whole, rtol=1e-12)
    assert not np.allclose(Bootstrap(11, 100, seed=5).means(columns), whole)


def test_a_paired_difference_leaves_out_what_examples_share():
    rng = np.random.default_rng(2)
    hard = rng.normal(size=200)
    better = hard + 0.1 + 0.01 * rng.normal(size=200)
    columns = Bootstrap(200).means(np.stack([better, hard], 1))
    one, two = (Sampled(float(c.mean()), r) for c, r in zip((better, hard), columns.T, strict=True))
    low, high = (one - two).estimate().interval
    assert 0.09 < low < 0.1 < high < 0.11
    assert one.estimate().interval[0] < two.estimate().interval[1]  # unpaired, they overlap


def test_a_95_percent_interval_covers_the_truth_about_so_often():
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(200):
        sample = (rng.random(100) < 0.7).astype(float)
        low, high = np.percentile(Bootstrap(100, 400, seed).means(sample[:, None]), [2.5, 97.5])
        hits += low <= 0.7 <= high
    assert 180 <= hits <= 198


def test_the_mean_of_draws_is_taken_resample_by_resample():
    mean = mean_of([Sampled(1.0, np.array([0.0, 2.0])), Sampled(3.0, np.array([4.0, 4.0]))])
    assert (mean.value, mean.resampled.tolist()) == (2.0, [2.0, 3.0])


def test_an_estimate_is_written_with_its_interval_if_it_has_one():
    assert f"{Estimate(0.5, (0.25, 0.75)):+.2f}" == "+0.50 [+0.25, +0.75]"
    assert f"{Estimate(0.5, None):.3f}" == "0.500"
