import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from probe.analysis import approximate_scores, neighbours
from probe.analysis.approximate_scores import Bfloat16Product, Float32Product
from probe.analysis.neighbours import (
    assign_one_to_one,
    nearest_others,
    nearest_rows,
    nearest_tokens,
)
from probe.analysis.token_filters import token_filter
from probe.arrays import to_float32
from probe.errors import ModelNotFoundError

METRICS = ("l2", "cosine", "dot")


def brute_force(queries, table, metric, k, allowed=None):
    """Every pair in float64, sorted by (score, id)."""
    ids, scores = [], []
    for query in queries.astype(np.float64):
        wide = to_float32(table).astype(np.float64)
        if metric == "l2":
            score = np.sqrt(((wide - query) ** 2).sum(axis=1))
        else:
            score = (wide * query).sum(axis=1)
        if metric == "cosine":
            norms = np.sqrt((wide**2).sum(axis=1)) * np.sqrt((query**2).sum())
            score = score / np.where(norms > 0, norms, 1)
        key = score if metric == "l2" else -score
        order = np.lexsort((np.arange(len(table)), key))
        order = order if allowed is None else order[allowed[order]]
        ids.append(order[:k])
        scores.append(score[order[:k]])
    return np.array(ids), np.array(scores)


def stored(table, dtype):
    if dtype == "bfloat16":
        return (np.ascontiguousarray(table, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return table.astype(dtype)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "bfloat16"])
def test_the_answer_is_the_float64_brute_force_one(rng, metric, dtype):
    table = stored(rng.standard_normal((3000, 24)) * rng.lognormal(size=(3000, 1)), dtype)
    queries = (rng.standard_normal((17, 24)) * rng.lognormal(size=(17, 1))).astype(np.float32)
    found = nearest_rows(queries, table, metric, k=7)
    ids, scores = brute_force(queries, table, metric, 7)
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_is_none_of_its_own_neighbours(rng, metric):
    table = rng.standard_normal((40, 6)).astype(np.float32)
    ids, scores = brute_force(table[7:8], table, metric, 5, allowed=np.arange(40) != 7)
    found = nearest_others(table[7:8], table, metric, itself=7, k=5)
    assert [row for row, _ in found] == ids[0].tolist()
    assert [score for _, score in found] == pytest.approx(scores[0].tolist())


def test_a_row_that_is_in_no_table_has_every_row_for_a_neighbour(rng):
    table = rng.standard_normal((3, 6)).astype(np.float32)
    query = rng.standard_normal((1, 6)).astype(np.float32)
    assert sorted(row for row, _ in nearest_others(query, table, itself=-1, k=5)) == [0, 1, 2]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("memory_bytes", [1, 300_000, 1 << 30])
def test_chunk_size_changes_nothing(rng, metric, memory_bytes, monkeypatch):
    table = rng.standard_normal((5000, 16)).astype(np.float32)
    queries = rng.standard_normal((9, 16)).astype(np.float32)
    monkeypatch.setattr(approximate_scores, "MEMORY_BYTES", memory_bytes)
    found = nearest_rows(queries, table, metric, k=10)
    np.testing.assert_array_equal(found.ids, brute_force(queries, table, metric, 10)[0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bfloat16_products_give_the_same_answer(rng, metric, dtype, monkeypatch):
    """Rows that differ by less than bfloat16 can tell must still be ranked right."""
    centres = rng.standard_normal((60, 32))
    table = stored(centres.repeat(50, axis=0) + 1e-3 * rng.standard_normal((3000, 32)), dtype)
    queries = (centres[:20] + 1e-3 * rng.standard_normal((20, 32))).astype(np.float32)
    monkeypatch.setattr(
        approximate_scores, "product_for", lambda scaled, _: Bfloat16Product(scaled)
    )
    found = nearest_rows(queries, table, metric, k=10)
    ids, scores = brute_force(queries, table, metric, 10)
    np.testing.assert_array_equal(found.ids, ids)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("product", [Float32Product, Bfloat16Product])
def test_the_error_bounds_hold(rng, metric, product, monkeypatch):
    table = (rng.standard_normal((2000, 64)) * rng.lognormal(size=(2000, 1))).astype(np.float32)
    queries = (rng.standard_normal((50, 64)) * rng.lognormal(size=(50, 1))).astype(np.float32)
    monkeypatch.setattr(approximate_scores, "product_for", lambda scaled, _: product(scaled))
    wide_queries, wide = queries.astype(np.float64), table.astype(np.float64)
    lengths = np.linalg.norm(wide_queries, axis=1)
    unit = wide_queries / lengths[:, None]
    scale = 2.0 ** -np.ceil(np.log2(max(lengths.max(), 1)))
    halves = (wide**2).sum(axis=1) / 2
    exact = {
        "dot": unit @ wide.T,
        "cosine": unit @ (wide / np.linalg.norm(wide, axis=1)[:, None]).T,
        "l2": scale * (wide_queries @ wide.T - halves + halves.mean()),
    }[metric]
    everything = np.ones(len(table), bool)
    (chunk,) = approximate_scores.score_chunks(queries, table, metric, everything)
    scores = np.array(chunk.scores.tolist())
    allowance = chunk.error[:, None] + chunk.product.rounding * np.abs(scores)
    assert (np.abs(scores - exact) <= allowance).all()


@pytest.mark.parametrize("metric", METRICS)
def test_equal_rows_come_in_the_order_of_their_ids(rng, metric):
    table = rng.standard_normal((400, 8)).astype(np.float32)
    table[[390, 17, 203, 5]] = table[100]
    found = nearest_rows(table[100:101] * 3, table, metric, k=400)
    tied = [list(found.ids[0]).index(i) for i in (5, 17, 100, 203, 390)]
    assert tied == list(range(tied[0], tied[0] + 5))
    if metric == "cosine":
        assert list(found.ids[0, :5]) == [5, 17, 100, 203, 390]


def test_a_table_of_equal_rows_returns_the_lowest_ids():
    found = nearest_rows(np.ones((2, 4), np.float32), np.ones((3000, 4), np.float32), "l2", k=3)
    np.testing.assert_array_equal(found.ids, [[0, 1, 2]] * 2)
    np.testing.assert_array_equal(found.scores, 0)


def test_many_candidates_are_ranked_before_they_fill_the_memory(rng, monkeypatch):
    monkeypatch.setattr(neighbours, "PENDING_ROWS", 10)
    monkeypatch.setattr(approximate_scores, "MEMORY_BYTES", 1)
    table = np.sort(rng.standard_normal((6000, 1)), axis=0).astype(np.float32)
    found = nearest_rows(np.ones((3, 1), np.float32), table, "dot", k=4)
    np.testing.assert_array_equal(found.ids, [[5999, 5998, 5997, 5996]] * 3)


def test_closed_form_scores():
    table = np.array([[3, 4], [1, 0], [0, -2]], np.float32)
    query = np.array([[1, 0]], np.float32)
    for metric, ids, scores in (
        ("l2", [1, 2, 0], [0, np.sqrt(5), np.sqrt(20)]),
        ("cosine", [1, 0, 2], [1, 0.6, 0]),
        ("dot", [0, 1, 2], [3, 1, 0]),
    ):
        found = nearest_rows(query, table, metric, k=3)
        assert found.ids[0].tolist() == ids
        np.testing.assert_allclose(found.scores[0], scores, rtol=1e-15)
        assert found.higher_is_better is (metric != "l2")


def test_zero_rows_have_cosine_zero():
    table = np.array([[0, 0], [-1, 0]], np.float32)
    found = nearest_rows(np.array([[1, 0], [0, 0]], np.float32), table, "cosine", k=2)
    np.testing.assert_array_equal(found.ids, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(found.scores, [[0, -1], [0, 0]])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1e-18, 1e-6, 1e6, 1e15])
def test_tiny_and_huge_prompts_are_ranked_right(rng, metric, size):
    table = rng.standard_normal((500, 6)).astype(np.float32)
    queries = (rng.standard_normal((4, 6)) * size).astype(np.float32)
    found = nearest_rows(queries, table, metric, k=3)
    np.testing.assert_array_equal(found.ids, brute_force(queries, table, metric, 3)[0])


@settings(max_examples=60, deadline=None)
@given(
    table=arrays(np.float32, (40, 3), elements=st.integers(-2, 2)),
    queries=arrays(np.float32, (5, 3), elements=st.integers(-2, 2)),
    metric=st.sampled_from(METRICS),
    k=st.integers(1, 50),
)
def test_tables_full_of_ties_match_brute_force(table, queries, metric, k):
    found = nearest_rows(queries, table, metric, k=k)
    ids, scores = brute_force(queries, table, metric, k)
    np.testing.assert_allclose(found.scores, scores, atol=1e-15)
    if metric != "cosine":  # two ways to round a cosine may break a mathematical tie
        np.testing.assert_array_equal(found.ids, ids)


def test_only_allowed_rows_are_returned(rng):
    table = rng.standard_normal((2500, 5)).astype(np.float32)
    allowed = rng.random(2500) < 0.004
    queries = rng.standard_normal((6, 5)).astype(np.float32)
    found = nearest_rows(queries, table, "l2", k=2500, allowed=allowed)
    ids, _ = brute_force(queries, table, "l2", 2500, allowed)
    np.testing.assert_array_equal(found.ids, ids)


def test_one_to_one_gives_each_position_a_token_of_its_own(make_vocabulary):
    vocabulary = make_vocabulary(np.array([[0], [1], [9]], np.float32))
    queries = np.array([[0.1], [0.0]], np.float32)
    assert nearest_tokens(queries, vocabulary, "l2", k=1).ids.ravel().tolist() == [0, 0]
    assert assign_one_to_one(queries, vocabulary, "l2").ids.ravel().tolist() == [1, 0]


def test_one_to_one_is_optimal_over_the_whole_table(rng, make_vocabulary):
    from scipy.optimize import linear_sum_assignment

    vocabulary = make_vocabulary(rng.standard_normal((80, 3)).astype(np.float32))
    queries = 0.1 * rng.standard_normal((12, 3)).astype(np.float32)
    for metric in METRICS:
        _, scores = brute_force(queries, vocabulary.table, metric, 80)
        ids, _ = brute_force(queries, vocabulary.table, metric, 80)
        full = np.empty_like(scores)
        np.put_along_axis(full, ids, scores, axis=1)
        rows, columns = linear_sum_assignment(full, maximize=metric != "l2")
        found = assign_one_to_one(queries, vocabulary, metric)
        assert len(set(found.ids.ravel())) == 12
        assert found.scores.sum() == pytest.approx(full[rows, columns].sum())


def test_one_to_one_needs_enough_tokens(make_vocabulary):
    vocabulary = make_vocabulary(np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="needs 3 allowed tokens, found 2"):
        assign_one_to_one(np.ones((3, 2), np.float32), vocabulary)


def test_filters_leave_out_or_keep_only(make_vocabulary):
    words = ["<s>", "good", "##ly", "bad"]
    vocabulary = make_vocabulary(np.eye(4, dtype=np.float32), words=words, special=[0])
    assert token_filter(vocabulary, ["special"]).tolist() == [False, True, True, True]
    assert token_filter(vocabulary, ["words", "special"]).tolist() == [False, True, False, True]
    assert token_filter(vocabulary, ["regex:^[bg]"]).tolist() == [False, True, False, True]


def test_the_closest_positions_answer_the_reverse_question():
    positions = np.array([[1, 0], [0, 1], [2, 0]], np.float32)
    found = nearest_rows(np.array([[1, 0.1]], np.float32), positions, "l2", k=2)
    assert found.ids.tolist() == [[0, 2]]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_table_that_is_not_finite_is_refused(rng, metric, value, monkeypatch):
    monkeypatch.setattr(approximate_scores, "MEMORY_BYTES", 1)  # several chunks
    table = rng.standard_normal((3000, 8)).astype(np.float32)
    table[2000, 0] = value
    with pytest.raises(ModelNotFoundError, match="NaN or infinity in row 2000: use another copy"):
        nearest_rows(table[1500:1501], table, metric, k=3)


def test_bad_arguments_are_named(make_vocabulary):
    table, query = np.ones((3, 2), np.float32), np.ones((1, 2), np.float32)
    with pytest.raises(ValueError, match=r"one width, found \(1, 2\) and \(3, 4\)"):
        nearest_rows(query, np.ones((3, 4), np.float32))
    with pytest.raises(ValueError, match="metric must be one of l2, cosine, dot, found 'euclid'"):
        nearest_rows(query, table, "euclid")
    with pytest.raises(ValueError, match="k must be at least 1, found 0"):
        nearest_rows(query, table, k=0)
    with pytest.raises(ValueError, match="no row of the table is allowed"):
        nearest_rows(query, table, allowed=np.zeros(3, bool))
    vocabulary = make_vocabulary(table)
    with pytest.raises(ValueError, match="unknown filter 'shiny'"):
        token_filter(vocabulary, ["shiny"])
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression"):
        token_filter(vocabulary, ["regex:("])
