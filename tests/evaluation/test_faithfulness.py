"""Faithfulness by its definition, and when it must not be stated."""

import numpy as np
import pytest

from probe.evaluation import Sampled, faithfulness


def sampled(value, resampled=None):
    return Sampled(value, np.full(100, value) if resampled is None else np.asarray(resampled))


def found(soft, *, zero_shot=0.5, discretised=0.6, shuffled=(0.55,), random_tokens=(0.5,)):
    as_sampled = [one if isinstance(one, Sampled) else sampled(one) for one in (soft, zero_shot)]
    return faithfulness(
        "mine",
        "accuracy",
        soft=as_sampled[0],
        zero_shot=as_sampled[1],
        discretised=sampled(discretised),
        shuffled=[sampled(one) for one in shuffled],
        random_tokens=[sampled(one) for one in random_tokens],
    )


@pytest.mark.parametrize(
    ("discretised", "kept"), [(0.9, 1.0), (0.5, 0.0), (0.6, 0.25), (0.4, -0.25), (1.0, 1.25)]
)
def test_it_is_the_share_of_the_gain_over_zero_shot_that_tokens_keep(discretised, kept):
    share = found(0.9, discretised=discretised)
    assert share.discretised.value == pytest.approx(kept)
    assert share.discretised.interval == pytest.approx((kept, kept))
    assert share.undefined is None


def test_controls_are_means_over_their_draws():
    share = found(0.9, shuffled=(0.5, 0.6, 0.7), random_tokens=(0.4, 0.5, 0.6))
    assert share.shuffled.value == pytest.approx(0.25)
    assert share.random_tokens.value == pytest.approx(0)
    assert (share.shuffled.score, share.draws) == (pytest.approx(0.6), 3)


@pytest.mark.parametrize("soft", [0.5, 0.3])
def test_it_is_undefined_where_the_prompt_does_not_beat_zero_shot(soft):
    share = found(soft)
    assert "does not beat zero-shot" in share.undefined
    for part in (share.discretised, share.shuffled, share.random_tokens):
        assert part.value is None and part.interval is None
    assert share.discretised.score == 0.6


def test_a_gain_that_may_be_none_gives_a_value_without_an_interval():
    """Ten of a hundred resamples show no gain: the ratio is unbounded there."""
    share = found(sampled(0.6, [0.45] * 10 + [0.6] * 90))
    assert share.discretised.value == pytest.approx(1)
    assert share.discretised.interval is None
    assert "10.0 % of the resamples" in share.undefined


def test_two_of_a_hundred_resamples_without_gain_do_not_spoil_the_interval():
    share = found(sampled(0.7, [0.4] * 2 + [0.7] * 98))
    assert share.discretised.interval == pytest.approx((0.5, 0.5))
    assert share.undefined is None


def test_the_ratio_is_paired():
    """Where examples move all scores together, the share kept does not move at all."""
    zero = np.linspace(0.4, 0.6, 100)
    share = faithfulness(
        "mine",
        "accuracy",
        soft=sampled(0.9, zero + 0.4),
        zero_shot=sampled(0.5, zero),
        discretised=sampled(0.6, zero + 0.1),
        shuffled=[sampled(0.5, zero)],
        random_tokens=[sampled(0.5, zero)],
    )
    assert share.discretised.interval == pytest.approx((0.25, 0.25))
    assert share.gain.interval == pytest.approx((0.4, 0.4))
