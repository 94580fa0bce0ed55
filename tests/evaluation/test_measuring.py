"""Numbers with intervals are those of the metrics, on the examples and on every resample."""

import numpy as np
import pytest

from probe.evaluation import Answers, Bootstrap, Condition, measured
from probe.metrics import accuracy, macro_f1
from probe.task import Example, Task

RNG = np.random.default_rng(0)
LABELS = RNG.integers(4, size=40)
PREDICTED = np.where(RNG.random(40) < 0.6, LABELS, RNG.integers(4, size=40))
EXAMPLES = [Example("x", label=int(label)) for label in LABELS]
TASK = Task("t", "classification", label_words=("a", "b", "c", "d"))


def answers(predicted=PREDICTED):
    losses = RNG.random(len(predicted))
    return Answers(Condition("mine", TASK), losses, np.zeros((len(predicted), 4)), predicted)


def resampled_rows(bootstrap):
    """The rows each resample holds, read off the bootstrap itself."""
    counts = (bootstrap.means(np.eye(bootstrap.n)) * bootstrap.n).round().astype(int)
    return [np.repeat(np.arange(bootstrap.n), row) for row in counts]


def test_each_resample_is_scored_as_the_metric_scores_its_rows():
    bootstrap = Bootstrap(40, 50)
    given = answers()
    found = measured(given, EXAMPLES, bootstrap)
    for number, rows in enumerate(resampled_rows(bootstrap)):
        expected = {
            "accuracy": accuracy(PREDICTED[rows], LABELS[rows]),
            "macro_f1": macro_f1(PREDICTED[rows], LABELS[rows]),
            "loss_nats": given.losses_nats[rows].mean(),
        }
        for name, value in expected.items():
            assert found[name].resampled[number] == pytest.approx(value), name


def test_values_are_those_of_all_examples():
    found = measured(answers(), EXAMPLES, Bootstrap(40, 10))
    assert found["accuracy"].value == accuracy(PREDICTED, LABELS)
    assert found["macro_f1"].value == macro_f1(PREDICTED, LABELS)
    assert list(found) == ["accuracy", "macro_f1", "loss_nats"]


def test_a_label_that_never_occurs_counts_for_nothing():
    """Four labels of which resamples of two examples hold at most two."""
    examples = [Example("x", label=0), Example("x", label=3)]
    found = measured(answers(np.array([0, 3])), examples, Bootstrap(2, 50))
    assert np.all(found["macro_f1"].resampled == 1)


def test_texts_are_measured_against_targets():
    task = Task("g", "generation", metric="rouge_l")
    examples = [Example("x", target="the cat sat"), Example("x", target="a dog")]
    given = Answers(Condition("mine", task), np.array([1.0, 3.0]), texts=("the cat", "a dog"))
    found = measured(given, examples, Bootstrap(2, 10))
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        {"exact_match": 0.5, "rouge_l": (0.8 + 1) / 2, "loss_nats": 2.0}
    )
