"""Rows as sums of a few tokens: which tokens, how much they explain, and against what."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import orthogonal_mp

from probe.analysis.matching_pursuit import matching_pursuit
from probe.linalg import unit_rows
from probe.prompt import SoftPrompt
from probe.tables import load_vocabulary
from probe.verbs.reading import read


@pytest.fixture(scope="module")
def builtin():
    return load_vocabulary("builtin")


def test_sums_are_those_of_scikit_learn_on_a_table_of_unit_rows():
    rng = np.random.default_rng(0)
    table = unit_rows(rng.standard_normal((300, 24))).astype(np.float32)
    rows = rng.standard_normal((5, 24)).astype(np.float32)
    found = matching_pursuit(rows, table, 6)
    for row, ids, weights, shares in zip(rows, found.ids, found.weights, found.shares, strict=True):
        path = orthogonal_mp(table.T.astype(float), row.astype(float), n_nonzero_coefs=6)
        assert set(np.flatnonzero(path)) == set(ids.tolist())
        np.testing.assert_allclose(weights, path[ids], atol=1e-5)
        left = row - weights @ table[ids]
        assert shares[-1] == pytest.approx(1 - left @ left / (row @ row), abs=1e-5)
    assert (np.diff(found.shares) > 0).all()


def test_a_row_that_is_a_sum_of_two_tokens_is_those_two_and_nothing_after_them():
    table = np.eye(8, dtype=np.float32) * 3
    row = 2 * table[[1]] - table[[5]]
    found = matching_pursuit(row, table, 4)
    assert found.ids.tolist() == [[1, 5, -1, -1]]
    np.testing.assert_allclose(found.weights, [[6, -3, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(found.shares, [[0.8, 1, 1, 1]], atol=1e-6)


def test_fewer_tokens_than_the_sum_has_places_explain_no_more_than_all_of_them():
    """What is left lies beside all tokens, where only rounding could name a direction."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 8)).astype(np.float32)
    table = np.repeat(rng.standard_normal((2, 8)), 3, axis=0).astype(np.float32)
    found = matching_pursuit(rows, table, 4)
    assert (found.ids[:, :2] >= 0).all() and (found.ids[:, 2:] == -1).all()
    span = np.linalg.lstsq(table.T, rows.T, rcond=None)[0]
    left = np.linalg.norm(rows.T - table.T @ span, axis=0) ** 2
    wanted = 1 - left / np.linalg.norm(rows, axis=1) ** 2
    np.testing.assert_allclose(found.shares[:, 1:], np.tile(wanted, (3, 1)).T, atol=1e-6)


def test_tokens_that_may_not_be_named_are_in_no_sum():
    table = np.random.default_rng(1).standard_normal((50, 8)).astype(np.float32)
    found = matching_pursuit(table[:3], table, 3, allowed=np.arange(50) >= 10)
    assert found.ids.min() >= 10


def moved(vocabulary, tokens):
    """Rows that training moved along several tokens' directions, with a little noise."""
    rng = np.random.default_rng(0)
    ids = rng.choice(np.flatnonzero(vocabulary.masks.word_start), 6, replace=False)
    units = unit_rows(vocabulary.rows(np.array(tokens))).astype(np.float32)
    start = vocabulary.rows(ids)
    length = np.linalg.norm(start, axis=1).mean()
    noise = 0.1 * length * unit_rows(rng.standard_normal(start.shape)).astype(np.float32)
    added = length * (rng.uniform(0.5, 1, (6, len(tokens))).astype(np.float32) @ units)
    known = tuple(map(int, ids))
    return SoftPrompt("moved", start + added + noise, vocabulary.name, init_token_ids=known)


@pytest.mark.slow
def test_displacements_along_two_tokens_are_read_as_those_two(builtin):
    pair = [builtin.encode(" great")[0], builtin.encode(" city")[0]]
    (found,) = read(moved(builtin, pair), readings="sparse").readings
    assert {one.id for one in found.tokens[:2]} == set(pair)
    assert found.start == "recorded" and found.p < 0.05 and found.better_than_controls
    assert len(found.shares) == 16 and found.shares[1] > 0.9
    assert len(found.rows) == 6 and len(found.rows[0].tokens) == 16


def test_rows_are_taken_apart_themselves_where_no_start_is_known(builtin):
    rows = np.random.default_rng(1).standard_normal((8, builtin.width)).astype(np.float32)
    answer = read(SoftPrompt("noise", rows, "builtin"), readings="sparse")
    (found,) = answer.readings
    own = matching_pursuit(rows, builtin.search_table, 16)
    assert found.start is None and found.shares == pytest.approx(own.shares.mean(0), abs=0.01)
    assert answer.answer.startswith("Read as sparse: ")


@pytest.mark.slow
def test_rows_at_random_are_called_better_than_controls_at_the_nominal_rate(builtin):
    rng = np.random.default_rng(3)
    table = builtin.rows(slice(None)).astype(float)
    drawn = rng.multivariate_normal(table.mean(0), np.cov(table.T, bias=True), 80)
    ps = [
        read(SoftPrompt("noise", rows.astype(np.float32), "builtin"), readings="sparse")
        .readings[0]
        .p
        for rows in drawn.reshape(20, 4, -1)
    ]
    assert sum(p <= 0.05 for p in ps) <= 4  # of 20: more have probability 0.003


@pytest.mark.slow
def test_all_names_every_reading_there_is(builtin):
    prompt = moved(builtin, [builtin.encode(" great")[0]])
    from probe.readings import READINGS, named_readings

    assert named_readings(["all"]) == list(READINGS)
    assert named_readings(["sparse, all"])[0] == "sparse"
    assert len(read(prompt, readings="nearest,sparse,nearest").readings) == 2
