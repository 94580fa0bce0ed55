"""Batches mix all rows, pad little, and go on where they were."""

from __future__ import annotations

import numpy as np

from probe.training.data import Batches

LENGTHS = np.random.default_rng(0).integers(5, 80, 1000).tolist()


def _epoch(batches: Batches, count: int) -> np.ndarray:
    return np.stack([batches.next() for _ in range(count)])


def test_an_epoch_sees_every_row_once_but_those_that_fill_no_batch() -> None:
    batches = Batches(LENGTHS, 16, seed=1)
    rows = _epoch(batches, 62)
    assert len(np.unique(rows)) == 62 * 16
    left_out = set(range(1000)) - set(rows.ravel().tolist())
    following = _epoch(batches, 62)
    assert left_out & set(following.ravel().tolist())
    assert not np.array_equal(rows, following)


def test_a_batch_holds_rows_of_nearly_one_length() -> None:
    def spread(rows: np.ndarray) -> float:
        return float(np.mean([np.ptp(np.asarray(LENGTHS)[batch]) for batch in rows]))

    shuffled = np.random.default_rng(1).permutation(992).reshape(-1, 16)
    assert spread(_epoch(Batches(LENGTHS, 16, seed=1), 62)) < 0.15 * spread(shuffled)


def test_other_seeds_see_other_rows_of_the_same_lengths() -> None:
    one, other = (_epoch(Batches(LENGTHS, 16, seed=seed), 32) for seed in (1, 2))
    assert not np.array_equal(one, other)
    lengths = np.asarray(LENGTHS)
    assert np.abs(lengths[one].mean(1) - lengths[other].mean(1)).max() < 8
    assert np.ptp(lengths[one].mean(1)) > 60


def test_short_and_long_batches_come_in_mixed_order() -> None:
    means = np.asarray(LENGTHS)[_epoch(Batches(LENGTHS, 16, seed=1), 32)].mean(1)
    assert abs(np.corrcoef(means, np.arange(32))[0, 1]) < 0.5


def test_a_restored_order_goes_on_as_if_nothing_had_happened() -> None:
    batches = Batches(LENGTHS, 16, seed=3)
    _epoch(batches, 70)
    other = Batches(LENGTHS, 16, seed=3)
    other.restore(batches.state())
    assert np.array_equal(_epoch(batches, 100), _epoch(other, 100))


def test_few_rows_make_one_batch_of_all() -> None:
    assert sorted(Batches([3, 1, 2], 16, seed=0).next().tolist()) == [0, 1, 2]
