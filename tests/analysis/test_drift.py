"""Drift: a prompt that moves along a known line."""

import numpy as np
import pytest

from probe.analysis.starts import drift


@pytest.fixture
def vocabulary(make_vocabulary):
    return make_vocabulary(np.eye(3, dtype=np.float32), words=["x", "y", "z"])


MOVES = np.array([[[2, 0, 0], [0, 0, 1]], [[0, 2, 0], [0, 0, 4]], [[0, 1, 5], [0, 0, 9]]], "f4")


def test_distance_cosine_and_norm_count_from_the_first_checkpoint():
    found = drift(MOVES, [0, 10, 30], name="p")
    np.testing.assert_allclose(found.distance, [[0, 0], [np.sqrt(8), 3], [np.sqrt(4 + 1 + 25), 8]])
    np.testing.assert_allclose(found.cosine, [[1, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(found.norm, [[2, 1], [2, 4], [np.sqrt(26), 9]])
    assert found.changes is None and found.to_json()["changes"] is None


def test_changes_of_the_nearest_token_are_counted_between_checkpoints(vocabulary):
    found = drift(MOVES, [0, 10, 30], name="p", vocabulary=vocabulary)
    assert found.tokens == (("x", "z"), ("y", "z"), ("z", "z"))
    assert found.changes == (0, 1, 1)
    frame = found.to_frame()
    assert list(frame["token"]) == ["x", "z", "y", "z", "z", "z"]
    assert list(frame["step"]) == [0, 0, 10, 10, 30, 30]
    assert found.to_json()["tokens"][1] == ["y", "z"]


@pytest.mark.parametrize(
    ("rows", "steps", "message"),
    [
        (MOVES, [0, 10], "for 2 steps"),
        (MOVES[0], [0, 1], "expected rows"),
        (MOVES, [0, 10, 10], "steps must ascend"),
    ],
)
def test_checkpoints_that_do_not_add_up_are_refused(rows, steps, message):
    with pytest.raises(ValueError, match=message):
        drift(rows, steps, name="p")
