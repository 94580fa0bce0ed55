"""Ablation with a scorer whose answer is known in closed form."""

import numpy as np
import pytest

from probe.analysis.ablation import ablate
from probe.prompt import KVPrefix, SoftPrompt
from probe.task import Example

EXAMPLES = [Example("a", 0), Example("bb", 1), Example("cccc", 0)]
LENGTHS = np.array([1.0, 2.0, 4.0])


def weighted_sum(prompt):
    """A number that knows each row's place: sum of place × row."""
    rows = np.zeros(1) if prompt is None else prompt.embeddings[:, 0].astype(float)
    return float((np.arange(1, len(rows) + 1) * rows).sum())


def score(prompt, examples):
    """The right label is less likely by that number, times the length of the text."""
    nats = np.array([len(one.text) for one in examples]) * weighted_sum(prompt)
    scores = np.zeros((len(examples), 2))
    scores[np.arange(len(examples)), [one.label for one in examples]] = -nats
    return scores


def prompt(*rows):
    return SoftPrompt("p", np.array(rows, dtype=np.float32)[:, None])


def test_every_change_is_the_difference_of_the_mean_losses():
    found = ablate(prompt(1, 2, 6), score, EXAMPLES)
    mean_length = LENGTHS.mean()
    assert found.loss_nats == pytest.approx(23 * mean_length)
    assert found.without_prompt.value == pytest.approx(-23 * mean_length)
    removed = [(2 + 12) - 23, (1 + 12) - 23, (1 + 4) - 23]
    level = [(3 + 4 + 18) - 23, (1 + 6 + 18) - 23, (1 + 4 + 9) - 23]
    for i, one in enumerate(found.positions):
        assert one.removed.value == pytest.approx(removed[i] * mean_length)
        assert one.mean.value == pytest.approx(level[i] * mean_length, rel=1e-6)
        j, rows = one.partner, [1, 2, 6]
        assert j != i
        rows[i], rows[j] = rows[j], rows[i]
        expected = sum(place * row for place, row in enumerate(rows, start=1)) - 23
        assert one.swapped.value == pytest.approx(expected * mean_length)


def test_intervals_are_those_of_a_bootstrap_of_the_paired_differences():
    from scipy.stats import bootstrap

    examples = [Example("x" * n, 0) for n in np.random.default_rng(0).integers(1, 40, size=60)]
    found = ablate(prompt(1, 2), score, examples, resamples=4000).positions[0].removed
    differences = np.array([len(one.text) for one in examples]) * (2.0 - 5.0)
    expected = bootstrap((differences,), np.mean, method="percentile", rng=1, n_resamples=4000)
    spread = np.ptp(found.interval)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval), abs=spread / 10)
    assert found.clear


def test_changing_nothing_changes_nothing():
    """Equal rows: the mean row and a swap leave the prompt as it was."""
    found = ablate(prompt(2, 2, 2), score, EXAMPLES)
    for one in found.positions:
        assert (one.mean.value, one.mean.interval) == (0, (0, 0))
        assert one.swapped.value == 0 and not one.swapped.clear
    assert (found.clear("mean"), found.clear("swapped"), found.clear("removed")) == (0, 0, 3)


def test_a_lone_position_removed_is_the_model_without_a_prompt():
    found = ablate(prompt(3), score, EXAMPLES)
    (only,) = found.positions
    assert only.removed == found.without_prompt
    assert only.mean.value == 0
    assert (only.swapped, only.partner) == (None, None)


def test_a_prefix_loses_columns_and_is_not_swapped():
    rng = np.random.default_rng(0)
    prefix = KVPrefix("k", rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(2, 2, 3, 4)))

    def values(one, examples):
        total = 0.0 if one is None else float(one.values.sum() + 2 * one.keys.sum())
        return np.full((len(examples), 2), -total)

    found = ablate(prefix, values, EXAMPLES)
    own = (prefix.values + 2 * prefix.keys).sum(axis=(0, 1, 3), dtype=float)
    for i, one in enumerate(found.positions):
        assert one.removed.value == pytest.approx(-own[i], rel=1e-4)
        assert one.mean.value == pytest.approx(own.mean() - own[i], abs=1e-4)
        assert one.swapped is None and one.partner is None


def test_only_the_kinds_asked_for_are_made_and_the_frame_is_long():
    found = ablate(prompt(1, 2, 6), score, EXAMPLES, kinds=("mean",))
    assert all(one.removed is None and one.swapped is None for one in found.positions)
    assert len(found.to_frame()) == 3
    assert len(ablate(prompt(1, 2, 6), score, EXAMPLES).to_frame()) == 9


def test_a_seed_gives_the_same_result():
    a, b, c = (ablate(prompt(*range(9)), score, EXAMPLES, seed=seed) for seed in (0, 0, 1))
    assert a == b and a != c


@pytest.mark.parametrize("examples", [[], [Example("a")]])
def test_examples_need_labels(examples):
    with pytest.raises(ValueError, match="needs examples with labels"):
        ablate(prompt(1), score, examples)
