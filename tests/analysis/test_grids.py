"""What a grid says: means, what is worth its cost, and the two questions."""

import dataclasses

import numpy as np
import pytest

from probe.analysis.grids import GridRun, grid_result, pareto

RUN = GridRun(
    model="m", parameters=10, task="t", method="prompt_tuning", length=20, init="vocab",
    learning_rate=0.1, varied={}, seed=0, fold=None, metric="accuracy", validation_score=0.8,
    test_score=0.7, test_loss_nats=0.5, trained_parameters=200, run_s=2.0, steps=9,
    stopped="finished", prompt="p",
)  # fmt: skip


def _run(length, validation, test, seed=0, **changes):
    return dataclasses.replace(
        RUN, length=length, validation_score=validation, test_score=test, seed=seed, **changes
    )


def test_a_front_holds_the_points_that_no_other_beats():
    costs = np.array([1.0, 2.0, 2.0, 3.0, 3.0])
    scores = np.array([0.5, 0.7, 0.6, 0.7, 0.9])
    assert pareto(costs, scores).tolist() == [True, True, False, False, True]
    assert pareto(np.ones(2), np.ones(2)).tolist() == [True, True]  # equals do not beat each other


def test_settings_are_means_over_seeds_and_folds_with_intervals():
    runs = [_run(5, 0.5, 0.4, 0), _run(5, 0.7, 0.6, 1), _run(20, 0.8, 0.8)]
    found = grid_result(runs)
    short, long = found.settings
    assert (short.runs, short.test_score) == (2, 0.5)
    assert short.validation_score == pytest.approx(0.6)
    assert short.interval == pytest.approx((0.4, 0.6)) and long.interval is None
    assert short.worth and long.worth and found.cost == "length"
    assert list(found.to_frame()["length"]) == [5, 20] and len(found.runs_frame()) == 3


def test_what_is_varied_keeps_settings_apart_and_has_a_column():
    runs = [_run(20, 0.5, 0.5, varied={"gamma": g}) for g in (0.0, 1.0)]
    found = grid_result(runs)
    assert len(found.settings) == 2 and list(found.runs_frame()["gamma"]) == [0.0, 1.0]
    assert found.cost == "run_s"


def test_the_best_setting_is_said_among_those_of_its_own_task():
    found = grid_result([_run(5, 0.5, 0.4), _run(20, 0.8, 0.7), _run(5, 0.9, 0.9, task="u")])
    first, second = found.headline()
    assert "On t, " in first and "best validation score of 2 settings" in first
    assert "On u, " in second and "best validation score of 1 setting;" in second


def test_longer_prompts_are_chosen_on_validation_data_and_compared_seed_by_seed():
    runs = [
        *(_run(20, 0.8, 0.70, 0), _run(20, 0.8, 0.80, 1)),
        *(_run(50, 0.9, 0.71, 0), _run(50, 0.9, 0.81, 1)),
        *(_run(100, 0.8, 0.99, 0), _run(100, 0.8, 0.99, 1)),
    ]
    (answer,) = grid_result(runs, question="length").answers
    assert answer.length == 50 and answer.runs == 2
    assert answer.difference == pytest.approx(0.01)
    assert answer.interval == pytest.approx((0.01, 0.01))  # paired: the seeds themselves differ


def test_the_fewest_tokens_that_are_enough_reach_95_percent_of_the_best():
    runs = [_run(1, 0.5, 0.5), _run(5, 0.86, 0.8), _run(20, 0.9, 0.85), _run(50, 0.89, 0.99)]
    runs += [_run(1, 0.9, 0.8, model="big"), _run(5, 0.91, 0.8, model="big")]
    small, big = grid_result(runs, question="size").answers
    assert (small.length, small.score, small.against) == (5, 0.8, 0.85)
    assert (big.length, big.model) == (1, "big")


def test_a_question_whose_runs_are_not_there_yet_has_no_answer():
    assert grid_result([_run(20, 0.8, 0.7)], question="length").answers == ()
    assert grid_result([_run(50, 0.8, 0.7)], question="length").answers == ()
    assert grid_result([], question="size").settings == ()
