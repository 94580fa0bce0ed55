import pytest

from probe.analysis.gains import (
    Scored,
    best_sentence,
    gain_of,
    main_score,
    relative_change,
    score_sentence,
    signed,
)


def _metrics(value, low, high, *, alone=0.5, split="test", examples=200):
    return {
        "metric": "accuracy", "accuracy": value, "zero_shot_accuracy": alone, "split": split,
        "examples": examples, "accuracy_interval": [value - 0.1, value + 0.1],
        "accuracy_gain_interval": [low, high],
    }  # fmt: skip


def _scored(name, value, low, high, task="mood", **more):
    return Scored(name, task, gain_of(_metrics(value, low, high, **more)))


def test_a_score_is_said_with_its_interval_and_that_of_its_gain():
    assert score_sentence(_metrics(0.7, 0.125, 0.275)) == (
        "Test accuracy 0.700 (95 % interval 0.600 to 0.800, 200 examples); the model alone 0.500, "
        "gain +0.200 (+0.125 to +0.275): the prompt helps."
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.01, 0.2, "no clear difference"), (0.0, 0.2, "no clear difference"),
     (0.01, 0.2, "the prompt helps"), (-0.2, -0.01, "the prompt hurts")],
)  # fmt: skip
def test_the_verdict_is_that_of_the_gains_interval(low, high, verdict):
    assert score_sentence(_metrics(0.6, low, high)).endswith(f": {verdict}.")


def test_nothing_scored_is_nothing_said():
    assert score_sentence({}) == score_sentence({"metric": "accuracy"}) == ""
    assert gain_of({"metric": "accuracy", "accuracy": "0.7"}) is None


def test_a_run_of_before_intervals_were_kept_gets_no_verdict():
    metrics = {"metric": "accuracy", "accuracy": 0.7, "zero_shot_accuracy": 0.5, "split": "test"}
    assert score_sentence(metrics) == "Test accuracy 0.700; the model alone 0.500."


def test_a_cross_validation_counts_its_folds():
    folds = [_metrics(0.7, 0.1, 0.3), _metrics(0.6, -0.1, 0.3)]
    means = {"metric": "accuracy", "accuracy": 0.65, "zero_shot_accuracy": 0.5, "split": "test"}
    assert score_sentence(means | {"folds": folds}) == (
        "Mean test accuracy of 2 folds 0.650; the model alone 0.500: the prompt helps in 1, no "
        "clear difference in 1."
    )


def test_the_best_of_many_says_that_it_was_chosen_on_the_same_examples():
    found = best_sentence([_scored(f"r{n}", 0.6 + n / 100, 0.01, 0.2) for n in range(9)])
    assert found.startswith("The largest gain is that of r8: test accuracy 0.680 (95 % interval")
    assert found.endswith(": the prompt helps; best of 9, chosen on the same test examples.")


def test_a_best_gain_that_is_not_clear_is_not_praised():
    found = best_sentence([_scored("a", 0.55, -0.02, 0.12), _scored("b", 0.51, -0.1, 0.1)])
    assert found.startswith("No gain is clear. The largest gain is that of a: ")
    assert "no clear difference; best of 2" in found


def test_no_gain_is_clear_only_where_all_intervals_are_known_and_none_is_above_0():
    unclear = _scored("a", 0.6, -0.05, 0.25)
    old = {"metric": "accuracy", "accuracy": 0.55, "zero_shot_accuracy": 0.5, "split": "test"}
    folds = [_metrics(0.5, -0.1, 0.1), *[_metrics(0.6, 0.05, 0.15)] * 4]
    folded = Scored("c", "mood", gain_of(_metrics(0.58, 0.0, 0.1) | {"folds": folds}))
    for other in (_scored("b", 0.55, 0.03, 0.07), Scored("b", "mood", gain_of(old)), folded):
        assert best_sentence([unclear, other]).startswith("The largest gain is that of a: ")


def test_scores_of_other_examples_are_not_called_the_same():
    own = _scored("a", 0.9, 0.2, 0.5)
    others = [_scored("b", 0.8, 0.2, 0.5, task="news"), _scored("c", 0.8, 0.2, 0.5, examples=50)]
    assert best_sentence([own, *others]).endswith("best of 3, each on test examples of its own.")
    assert best_sentence([own, own, *others]).endswith(
        "best of 4, 2 of them on the same test examples."
    )


def test_a_single_score_is_the_best_of_nothing():
    found = best_sentence([_scored("a", 0.55, -0.02, 0.12)])
    assert found.startswith("a: test accuracy 0.550")
    assert "best of" not in found
    assert best_sentence([]) == ""


def test_a_difference_carries_its_sign_and_zero_none():
    assert [signed(v) for v in (0.1, -0.1, 0.0, -0.0001)] == ["+0.100", "−0.100", "0.000", "0.000"]


def test_a_share_that_is_lost_is_said_as_what_becomes_of_the_accuracy():
    assert relative_change(-0.158) == "+15.8 %"
    assert relative_change(0.1, (-0.02, 0.3)) == "−10.0 % [−30.0, +2.0]"
    assert relative_change(0.0) == "0.0 %"


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"rouge_l": 0.2, "accuracy": 0.8}, ("accuracy", 0.8)),
        ({"metric": "macro_f1", "accuracy": 0.8, "macro_f1": 0.7}, ("macro_f1", 0.7)),
        ({"metric": "loss_nats", "loss_nats": 0.1}, None),
        ({"metric": ["accuracy"], "accuracy": "high"}, None),
        ({}, None),
    ],
)
def test_the_main_score_is_that_of_the_tasks_metric_else_the_most_telling(metrics, expected):
    assert main_score(metrics) == expected
