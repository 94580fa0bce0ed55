import numpy as np
import pytest

from probe.analysis.controls import (
    NEVER_LEFT_ITS_START,
    NOT_BETTER_THAN_CHANCE,
    OFF_THE_MANIFOLD,
    metric_agreement,
    percentile,
    position_controls,
)
from probe.analysis.neighbours import nearest_rows
from probe.analysis.references import RANDOM_SAMPLE, Reference, sample_reference

METRICS = ("l2", "cosine", "dot")


def word_like_table(rng, v=1500, h=24):
    """Clustered rows off the origin, of unlike norms, as embedding tables are."""
    mixing = rng.standard_normal((h, h)) * np.geomspace(3, 0.1, h)
    rows = rng.standard_normal((v, h)) @ mixing + rng.standard_normal(h)
    return (rows * rng.lognormal(sigma=0.2, size=(v, 1))).astype(np.float32)


def reference_of(table, metric, rng):
    return sample_reference(table, metric, allowed=np.ones(len(table), bool), rng=rng)


def judge(rows, table, reference):
    near = nearest_rows(rows, table, reference.metric, k=1)
    norms = np.linalg.norm(rows.astype(np.float64), axis=1)
    return position_controls(near.scores[:, 0], norms, reference, np.ones(len(rows)))


def share(judged, flag):
    return np.mean([flag in controls.flags for controls in judged])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.slow
def test_chance_rows_are_flagged_at_the_nominal_rate(rng, metric):
    table = word_like_table(rng)
    reference = reference_of(table, metric, rng)
    mean, covariance = table.mean(axis=0), np.cov(table.T, bias=True)
    drawn = rng.multivariate_normal(mean, covariance, size=4000)
    judged = judge(drawn.astype(np.float32), table, reference)
    # 97.5 % ± three standard errors of 4,000 rows against a reference of 1,000
    assert share(judged, NOT_BETTER_THAN_CHANCE) == pytest.approx(0.975, abs=0.0166)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("v", [20, 200])
def test_chance_rows_keep_the_rate_where_the_covariance_has_no_full_rank(rng, v, metric):
    """A strict filter leaves fewer tokens than the table is wide; some tables are flat."""
    flat = rng.standard_normal((8, 96)) * 100
    table = (rng.standard_normal((v, 8)) @ flat + rng.standard_normal(96)).astype(np.float32)
    reference = reference_of(table, metric, rng)
    mean, centred = table.mean(axis=0), table - table.mean(axis=0)
    drawn = mean + rng.standard_normal((4000, v)) @ centred / np.sqrt(v)
    judged = judge(drawn.astype(np.float32), table, reference)
    assert share(judged, NOT_BETTER_THAN_CHANCE) == pytest.approx(0.975, abs=0.0166)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_true_token_rows_are_not_flagged(rng, metric):
    table = word_like_table(rng)
    judged = judge(table[:300], table, reference_of(table, metric, rng))
    assert share(judged, NOT_BETTER_THAN_CHANCE) == 0
    assert share(judged, OFF_THE_MANIFOLD) == 0


@pytest.mark.parametrize("metric", METRICS)
def test_random_rows_know_their_best_score_at_any_norm(rng, metric):
    """The lines kept per row reproduce a full search, for norms far below and above the table's."""
    table = word_like_table(rng, v=400, h=6)
    twin = np.random.default_rng(5)
    reference = reference_of(table, metric, np.random.default_rng(5))
    twin.choice(len(table), size=len(table), replace=False)
    twin.standard_normal((RANDOM_SAMPLE, 6))  # the draws behind the Gaussian rows
    drawn = twin.standard_normal((RANDOM_SAMPLE, 6))
    units = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    for norm in (0.01, 1.0, 7.0, 500.0):
        searched = nearest_rows((units * norm).astype(np.float32), table, metric, k=1)
        np.testing.assert_allclose(
            reference.isotropic.best(norm), searched.scores[:, 0], rtol=2e-5, atol=1e-6
        )


def test_vocabulary_sample_is_the_distance_to_the_nearest_other_token():
    table = np.array([[0.0], [1.0], [3.0], [3.0]], np.float32)
    reference = reference_of(table, "l2", np.random.default_rng(0))
    assert sorted(reference.vocabulary) == [0, 0, 1, 1]


def test_off_the_manifold_means_farther_than_99_percent_of_tokens(rng):
    table = word_like_table(rng)
    reference = reference_of(table, "l2", rng)
    far = (table[:50] * 100).astype(np.float32)
    assert share(judge(far, table, reference), OFF_THE_MANIFOLD) == 1


def test_percentiles_count_ties_half_and_know_the_direction():
    sample = np.array([1.0, 2.0, 3.0, 4.0])
    assert percentile(np.array([3.0]), sample, "dot")[0] == 62.5
    assert percentile(np.array([3.0]), sample, "l2")[0] == 37.5


def test_norm_percentile_and_start_flag(rng):
    table = np.diag(np.arange(1, 11)).astype(np.float32)
    reference = reference_of(table, "l2", rng)
    judged = position_controls(
        np.array([0.0, 9.0]),
        np.array([5.5, 20.0]),
        reference,
        np.ones(2),
        at_start=np.array([True, False]),
    )
    assert [c.norm_percentile for c in judged] == [50, 100]
    assert [NEVER_LEFT_ITS_START in c.flags for c in judged] == [True, False]


def test_metric_agreement_is_the_mean_jaccard_index():
    lists = [np.array([[1, 2]]), np.array([[1, 2]]), np.array([[2, 3]])]
    assert metric_agreement(lists)[0] == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)


def test_references_are_seeded_and_survive_a_round_trip(rng):
    table = word_like_table(rng, v=300)
    one, two = (reference_of(table, "l2", np.random.default_rng(3)) for _ in range(2))
    back = Reference.from_arrays(one.to_arrays(), "l2")
    for name, values in two.to_arrays().items():
        np.testing.assert_array_equal(values, back.to_arrays()[name])
    other = reference_of(table, "l2", np.random.default_rng(4))
    assert (other.vocabulary != one.vocabulary).any()


def test_only_allowed_tokens_enter_the_samples(rng):
    table = word_like_table(rng, v=300)
    table[:200] = 0
    allowed = np.arange(300) >= 200
    reference = sample_reference(table, "l2", allowed=allowed, rng=rng)
    assert len(reference.norms) == 100
    assert reference.vocabulary.min() > 0


def test_one_allowed_token_is_too_few(rng):
    with pytest.raises(ValueError, match="at least 2 allowed tokens, found 1"):
        sample_reference(np.eye(3, dtype=np.float32), "l2", allowed=np.eye(3)[0] > 0, rng=rng)
