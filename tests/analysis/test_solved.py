"""Whether a task is solved is said before what a text costs."""

import dataclasses

import pytest

from probe.analysis.waywardness import WaywardRun, waywardness
from probe.reports.studies import wayward_headline

RUN = WaywardRun(
    model="m", parameters=10, task="mood", kind="web", target="say it", tokens=2, gamma=0.0, seed=0,
    init="vocab", validation_accuracy=0.9, test_accuracy=0.552, f1=0.1, token_match=0.0,
    decoded="no", distance=1.0, validation_loss_nats=0.5, test_loss_nats=0.5, train_loss_nats=0.5,
    steps=9, stopped="finished", prompt="p", zero_shot_accuracy=0.515, majority_accuracy=0.53,
    accuracy_low=0.5, accuracy_high=0.6, gain_low=-0.02, gain_high=0.09,
)  # fmt: skip
SOLVED = {"test_accuracy": 0.9, "accuracy_low": 0.87, "gain_low": 0.3, "gain_high": 0.45}


def _found(**baseline):
    free = dataclasses.replace(RUN, **baseline)
    return waywardness([free, dataclasses.replace(free, gamma=1.0, test_accuracy=0.64, f1=1.0)])


def test_a_study_that_solves_nothing_says_so_first():
    first, second = wayward_headline(_found())
    assert first == (
        "On mood, started at sampled tokens, the task is not solved: accuracy 0.55 against 0.52 "
        "without a prompt and 0.53 for the most frequent label; train longer."
    )
    assert "accuracy change +15.9 %; 0.515 without a prompt" in second
    assert "gains" not in second


def test_a_study_that_solves_its_task_begins_with_what_texts_cost():
    (only,) = wayward_headline(_found(**SOLVED))
    assert "accuracy change −28.9 %; 0.515 without a prompt" in only


@pytest.mark.parametrize(
    ("changes", "solved"),
    [
        (SOLVED, True),
        (SOLVED | {"gain_low": 0.0}, False),  # the interval holds 0
        (SOLVED | {"majority_accuracy": 0.9}, False),  # no better than one label for all
        (SOLVED | {"majority_accuracy": None}, True),
        (SOLVED | {"gain_low": None, "gain_high": None}, None),
    ],
)
def test_solved_is_better_than_the_model_alone_and_than_one_label_for_all(changes, solved):
    (row,) = _found(**changes).table
    assert row.solved is solved


def test_the_gain_is_the_mean_of_the_baselines_and_its_interval_that_of_theirs():
    other = dataclasses.replace(RUN, seed=1, test_accuracy=0.652, gain_low=0.0, gain_high=0.19)
    runs = [RUN, other, *(dataclasses.replace(one, gamma=1.0) for one in (RUN, other))]
    (row,) = waywardness(runs).table
    assert row.gain.value == pytest.approx(0.087)
    assert row.gain.interval == pytest.approx((-0.01, 0.14))


def test_an_old_study_says_that_it_is_not_known():
    unknown = dict.fromkeys(
        ("zero_shot_accuracy", "majority_accuracy", "accuracy_low", "accuracy_high", "gain_low",
         "gain_high")
    )  # fmt: skip
    found = _found(**unknown)
    assert found.table[0].solved is None and found.to_json()["table"][0]["gain"] is None
    first, last = wayward_headline(found)
    assert first.startswith("On mood") and "without a prompt" not in first
    assert last.startswith("Whether the task is solved is not known")


def test_of_several_tasks_those_that_are_not_solved_are_named():
    runs = [*_found().runs, *(dataclasses.replace(r, task="trec", **SOLVED) for r in _found().runs)]
    first, second = wayward_headline(waywardness(runs))
    assert first.startswith("Not solved, started at sampled tokens: mood accuracy 0.55 against")
    assert "trec" not in first and second.startswith("Over 2 tasks, started at sampled tokens")


def test_a_single_run_has_no_brackets_and_claims_none():
    found = _found()
    assert not found.has_intervals
    assert all("[" not in sentence for sentence in wayward_headline(found))
