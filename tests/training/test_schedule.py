"""The learning rate is a function of the step alone."""

from __future__ import annotations

import pytest

from probe.training import TrainConfig, learning_rate


def test_warm_up_rises_to_the_peak_and_linear_falls_to_zero_after_the_last_step() -> None:
    config = TrainConfig(steps=10, warmup_steps=2)
    rates = [learning_rate(config, 0.8, step) for step in range(11)]
    assert rates[:3] == [0.4, 0.8, 0.8]
    assert rates[6] == pytest.approx(0.4)
    assert rates[9] > 0
    assert rates[10] == 0


def test_constant_stays_and_cosine_is_half_way_down_in_the_middle() -> None:
    constant = TrainConfig(steps=10, schedule="constant")
    cosine = TrainConfig(steps=10, schedule="cosine")
    assert {learning_rate(constant, 0.5, step) for step in range(10)} == {0.5}
    assert learning_rate(cosine, 0.5, 0) == 0.5
    assert learning_rate(cosine, 0.5, 5) == pytest.approx(0.25)
    assert learning_rate(cosine, 0.5, 10) == pytest.approx(0)


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    config = TrainConfig(steps=3, warmup_steps=6)
    assert [learning_rate(config, 0.6, step) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3])
