"""Who lives next to a prompt's rows."""

import numpy as np
import pytest

from probe.analysis.mixing import median_best_cosines, mixing


@pytest.fixture
def vocabulary(make_vocabulary):
    return make_vocabulary(np.eye(4, dtype=np.float32))


def test_rows_on_tokens_have_tokens_for_neighbours(vocabulary):
    found = mixing([np.eye(4, dtype=np.float32)[:3]], vocabulary)
    assert (found.near_rows, found.rows, found.tokens) == (0, 3, 4)


def test_rows_in_a_direction_of_their_own_have_each_other(vocabulary):
    rows = np.array([[1, 1, 1, 1], [1, 1, 1, 0.9], [1, 0, 0, 0]], dtype=np.float32)
    found = mixing([rows[:1], rows[1:]], vocabulary)
    assert found.near_rows == 2
    assert found.expected == pytest.approx(3 * 2 / (2 + 4))


def test_a_tie_goes_to_the_token(vocabulary):
    twins = np.array([[1, 0, 0, 0], [1, 0, 0, 0]], dtype=np.float32)
    assert mixing([twins], vocabulary).near_rows == 0


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_the_count_is_that_of_every_distance_written_out(rng, make_vocabulary, metric):
    table = rng.standard_normal((60, 8)).astype(np.float32)
    rows = (rng.standard_normal((30, 8)) * 0.6 + 1).astype(np.float32)
    both = np.concatenate([rows, table]).astype(np.float64)
    units = both / np.linalg.norm(both, axis=1, keepdims=True)
    closeness = {
        "cosine": units @ units.T,
        "dot": both @ both.T,
        "l2": -np.linalg.norm(both[:, None] - both, axis=2),
    }[metric]
    np.fill_diagonal(closeness, -np.inf)
    expected = np.count_nonzero(closeness[:30].argmax(axis=1) < 30)
    assert 0 < expected < 30
    assert mixing([rows], make_vocabulary(table), metric).near_rows == expected


def test_a_single_row_has_only_tokens_and_norms_are_medians(vocabulary):
    found = mixing([np.full((1, 4), 3, dtype=np.float32)], vocabulary)
    assert (found.near_rows, found.expected) == (0, 0)
    assert (found.norm, found.token_norm) == (6, 1)
    assert found.to_frame().to_dict("records") == [found.to_json()]


def test_a_metric_that_is_none_is_refused_by_its_name(vocabulary):
    with pytest.raises(ValueError, match="metric must be one of l2, cosine, dot, found 'euclid'"):
        mixing([np.ones((2, 4), np.float32)], vocabulary, "euclid")


def test_every_prompt_has_the_median_of_its_own_rows(vocabulary):
    on_tokens = 3 * np.eye(4, dtype=np.float32)[:3]
    between = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]], dtype=np.float32)
    found = median_best_cosines([on_tokens, between], vocabulary)
    assert found == pytest.approx([1.0, np.sqrt(0.5)])
