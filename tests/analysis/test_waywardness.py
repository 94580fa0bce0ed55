"""The protocol: which γ, what it costs, and how sure one may be."""

import dataclasses

import numpy as np
import pytest

from probe.analysis.wayward_choice import WaywardRun, relative_drop
from probe.analysis.waywardness import waywardness

RUN = WaywardRun(
    model="m", parameters=10, task="t", kind="web", target="say it", tokens=2, gamma=0.0, seed=0,
    init="vocab", validation_accuracy=0.9, test_accuracy=0.8, f1=0.1, token_match=0.0,
    decoded="no", distance=1.0, validation_loss_nats=0.5, test_loss_nats=0.5, train_loss_nats=0.5,
    steps=9, stopped="finished", prompt="p",
)  # fmt: skip


def _run(gamma, validation, test, f1, seed=0, **changes):
    return dataclasses.replace(
        RUN, gamma=gamma, validation_accuracy=validation, test_accuracy=test, f1=f1, seed=seed,
        **changes,
    )  # fmt: skip


def test_the_most_accurate_gamma_among_those_that_say_the_target_is_chosen_on_validation_data():
    runs = [
        RUN,
        _run(0.1, 0.95, 0.99, 0.90),  # most accurate of all, but does not say it
        _run(1.0, 0.80, 0.60, 0.99),
        _run(10.0, 0.70, 0.79, 1.00),  # better on test data, which must not matter
    ]
    (choice,) = waywardness(runs).choices
    assert choice.gamma == 1.0 and choice.says_target
    assert (choice.baseline_accuracy, choice.wayward_accuracy) == (0.8, 0.6)
    assert choice.delta == pytest.approx(0.25)
    assert (choice.f1, choice.f1_at_zero) == (0.99, 0.1)


def test_without_any_that_says_it_the_most_accurate_is_chosen_and_never_the_baseline():
    runs = [_run(0.0, 1.0, 1.0, 1.0), _run(0.1, 0.5, 0.5, 0.98), _run(1.0, 0.6, 0.7, 0.2)]
    (choice,) = waywardness(runs).choices
    assert choice.gamma == 1.0 and not choice.says_target


def test_accuracy_and_f1_are_averaged_over_seeds_before_choosing():
    runs = [
        *(_run(0.0, 0.9, 0.8, 0.0, seed) for seed in (0, 1)),
        _run(0.1, 0.9, 0.9, 1.0, 0), _run(0.1, 0.9, 0.9, 0.9, 1),  # mean F1 0.95: out
        _run(1.0, 0.6, 0.5, 1.0, 0), _run(1.0, 0.6, 0.7, 1.0, 1),
    ]  # fmt: skip
    (choice,) = waywardness(runs).choices
    assert choice.gamma == 1.0 and choice.seeds == 2
    assert choice.wayward_accuracy == pytest.approx(0.6)


def test_equals_are_decided_by_f1_and_then_by_the_smaller_gamma():
    runs = [RUN, _run(0.3, 0.8, 0.8, 0.99), _run(1.0, 0.8, 0.8, 1.0), _run(3.0, 0.8, 0.8, 1.0)]
    assert waywardness(runs).choices[0].gamma == 1.0


def test_starts_tasks_and_targets_are_judged_apart_and_the_unfinished_left_out():
    runs = [
        *(RUN, _run(1.0, 0.8, 0.8, 1.0)),
        *(_run(0.0, 0.8, 0.7, 0.9, init="target"), _run(1.0, 0.8, 0.7, 1.0, init="target")),
        _run(1.0, 0.8, 0.8, 1.0, target="no baseline yet"),
        _run(0.0, 0.8, 0.8, 1.0, target="no wayward run yet"),
        *(_run(0.0, 0.8, 0.8, 0.0, seed, target="one seed") for seed in (0, 1)),
        _run(1.0, 0.8, 0.8, 1.0, target="one seed"),
    ]
    found = waywardness(runs)
    assert [(choice.init, choice.target) for choice in found.choices] == [
        ("target", "say it"),
        ("vocab", "say it"),
    ]
    assert [row.init for row in found.table] == ["target", "vocab"]


def test_the_table_averages_targets_and_counts_them():
    runs = [
        *(RUN, _run(1.0, 0.8, 0.6, 1.0)),
        *(_run(0.0, 0.8, 0.5, 0.3, target="b"), _run(1.0, 0.8, 0.5, 0.5, target="b")),
    ]
    (row,) = waywardness(runs).table
    assert (row.targets, row.seeds, row.saying_target, row.kind) == (2, 1, 1, "all")
    assert row.baseline_accuracy.value == pytest.approx(0.65)
    assert row.wayward_accuracy.value == pytest.approx(0.55)
    assert row.delta.value == pytest.approx((0.25 + 0) / 2)
    assert row.f1_at_zero.value == pytest.approx(0.2)
    # Two targets: a resample holds one, the other, or both.
    assert row.wayward_accuracy.interval == pytest.approx((0.5, 0.6))


def test_intervals_cover_seeds_within_targets_and_a_single_run_has_none():
    pair = [RUN, _run(1.0, 0.8, 0.8, 1.0)]
    assert waywardness(pair).table[0].f1.interval is None
    more = [*pair, _run(0.0, 0.8, 0.4, 0.0, 1), _run(1.0, 0.8, 0.4, 1.0, 1)]
    found = waywardness(more)
    assert found.table[0].baseline_accuracy.interval == pytest.approx((0.4, 0.8))
    assert found.table[0].delta.interval == (0.0, 0.0)  # baseline and wayward of a seed stay paired
    assert waywardness(more).to_json() == found.to_json()


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(60):
        runs = []
        for target in range(12):
            wayward = rng.normal(0.5, 0.1)
            runs += [_run(0.0, 0.9, 0.5, 0.0, target=str(target)),
                     _run(1.0, 0.9, wayward, 1.0, target=str(target))]  # fmt: skip
        low, high = waywardness(runs).table[0].wayward_accuracy.interval
        hits += low <= 0.5 <= high
    assert 49 <= hits <= 60  # 95 % would be 57; a bootstrap of 12 is a little narrow


def test_kinds_have_rows_of_their_own_where_there_are_several():
    runs = [
        *(RUN, _run(1.0, 0.8, 0.6, 1.0)),
        *(_run(0.0, 0.8, 0.5, 0.3, kind="true"), _run(1.0, 0.8, 0.5, 1.0, kind="true")),
    ]
    found = waywardness(runs)
    assert [(row.kind, row.targets) for row in found.table] == [("all", 2), ("true", 1), ("web", 1)]
    assert list(found.to_frame()["kind"]) == ["all", "true", "web"]
    assert len(found.runs_frame()) == 4


def test_a_drop_is_relative_to_the_baseline_and_undefined_without_one():
    assert relative_drop(0.8, 0.6) == pytest.approx(0.25)
    assert relative_drop(0.5, 0.6) == pytest.approx(-0.2)
    assert relative_drop(0.0, 0.6) is None
    (row,) = waywardness([_run(0.0, 0.1, 0.0, 0.0), _run(1.0, 0.1, 0.1, 0.0)]).table
    assert row.delta is None


def test_nothing_finished_is_an_empty_table():
    found = waywardness([])
    assert found.table == () and found.to_frame().empty and "gamma" in found.runs_frame()
