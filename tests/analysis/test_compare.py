"""Measures between prompts: closed forms, oracles, the figures of real prompts, refusals."""

from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, squareform
from scipy.stats import mannwhitneyu
from sklearn.metrics.pairwise import cosine_similarity

from probe.analysis.compare import (
    MEASURES,
    comparable,
    compare_activations,
    compare_rows,
    compare_tokens,
    hierarchy,
    position_view,
)
from probe.analysis.compare.pairs import token_strings
from probe.analysis.compare.separation import separation
from probe.errors import NotComparableError
from probe.formats import load
from probe.prompt import KVPrefix, SoftPrompt

OF_ROWS = [measure for measure, facts in MEASURES.items() if facts.of_rows]
A = np.array([[1.0, 0.0], [0.0, 1.0]])
B = np.array([[3.0, 0.0], [0.0, -1.0]])


def _between(measure, a=A, b=B, **options):
    return compare_rows([a, b], measure, names=["a", "b"], **options).matrix


def test_closed_forms_on_two_prompts_one_can_work_out_by_hand():
    far = np.sqrt(1 + 1), np.sqrt(9 + 1)  # (1,0)–(0,−1) and (0,1)–(3,0)
    mean_distance = (2 + far[0] + far[1] + 2) / 4
    a_to_b, b_to_a = (far[0] + 2) / 2, (2 + far[0]) / 2
    expected = {
        "mean_token_cosine": (1.5 * 0.5 - 0.5 * 0.5) / (np.sqrt(0.5) * np.sqrt(2.5)),
        "mean_pairwise_cosine": 0,
        "mean_pairwise_inverse_euclidean": 1 / (1 + mean_distance),
        "flattened_cosine": (3 - 1) / (np.sqrt(2) * np.sqrt(10)),
        "inverse_euclidean": 1 / (1 + np.sqrt(4 + 4)),
        "position_cosine": 0,
        "chamfer": (a_to_b + b_to_a) / 2,
        "transport": min(2 + 2, sum(far)) / 2,
    }
    for measure, value in expected.items():
        assert _between(measure)[0, 1] == pytest.approx(value, abs=1e-12), measure


@pytest.mark.parametrize("measure", OF_ROWS)
def test_every_measure_is_symmetric_and_knows_a_prompt_from_itself(measure, rng):
    rows = list(rng.standard_normal((6, 5, 7)).astype(np.float32))
    matrix = compare_rows(rows, measure, names="abcdef").matrix
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)
    itself = np.diag(matrix)
    if measure in ("chamfer", "transport"):
        assert (itself == 0).all()
    elif measure == "mean_pairwise_cosine":
        means = [(r / np.linalg.norm(r, axis=1, keepdims=True)).mean(axis=0) for r in rows]
        np.testing.assert_allclose(itself, [m @ m for m in means], atol=1e-6)
        assert (itself < 1).all()
    elif measure == "mean_pairwise_inverse_euclidean":
        np.testing.assert_allclose(itself, [1 / (1 + cdist(r, r).mean()) for r in rows])
    else:
        np.testing.assert_allclose(itself, 1)


@pytest.mark.parametrize("measure", OF_ROWS)
def test_equal_prompts_are_as_close_as_one_can_be(measure, rng):
    rows = rng.standard_normal((5, 7)).astype(np.float32) * 1e3
    comparison = compare_rows([rows, rows.copy(), rows + 900], measure, names="abc")
    assert comparison.nearest[0][:2] == (0, 1)
    np.testing.assert_allclose(comparison.matrix[0, 1], comparison.matrix[0, 0], atol=1e-12)


def test_cosines_agree_with_scikit_learn(rng):
    rows = list(rng.standard_normal((4, 5, 7)) * 3 + 1)
    names = "abcd"
    np.testing.assert_allclose(
        compare_rows(rows, "mean_token_cosine", names=names).matrix,
        cosine_similarity([r.mean(axis=0) for r in rows]),
    )
    np.testing.assert_allclose(
        compare_rows(rows, "flattened_cosine", names=names).matrix,
        cosine_similarity([r.ravel() for r in rows]),
    )
    pairwise = [[cosine_similarity(a, b).mean() for a in rows] for b in rows]
    np.testing.assert_allclose(
        compare_rows(rows, "mean_pairwise_cosine", names=names).matrix, pairwise
    )
    matched = [[np.diag(cosine_similarity(a, b)).mean() for a in rows] for b in rows]
    np.testing.assert_allclose(compare_rows(rows, "position_cosine", names=names).matrix, matched)
    flat = [r.ravel() for r in rows]
    np.testing.assert_allclose(
        compare_rows(rows, "inverse_euclidean", names=names).matrix, 1 / (1 + cdist(flat, flat))
    )


def test_distances_agree_with_scipy_for_prompts_of_different_lengths(rng, monkeypatch):
    rows = [rng.standard_normal((length, 6)) for length in (3, 8, 1, 5)]
    monkeypatch.setattr("probe.analysis.compare.similarities.BLOCK_ROWS", 9)  # several blocks
    near = compare_rows(rows, "chamfer", names="abcd").matrix
    mean = compare_rows(rows, "mean_pairwise_inverse_euclidean", names="abcd").matrix
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            between = cdist(a, b)
            expected = (between.min(axis=0).mean() + between.min(axis=1).mean()) / 2
            assert near[i, j] == pytest.approx(expected, abs=1e-12)
            assert mean[i, j] == pytest.approx(1 / (1 + between.mean()))


def test_transport_agrees_with_an_optimal_assignment_and_with_pot(rng):
    import ot

    rows = [*rng.standard_normal((3, 6, 4)), rng.standard_normal((4, 4))]
    cost = compare_rows(rows, "transport", names="abcd").matrix
    between = cdist(rows[0], rows[1])
    assert cost[0, 1] == pytest.approx(between[linear_sum_assignment(between)].mean())
    assert cost[2, 3] == pytest.approx(ot.emd2([], [], ot.dist(rows[2], rows[3], "euclidean")))


def test_transport_of_a_shifted_prompt_is_the_shift(rng):
    rows = rng.standard_normal((6, 3))
    assert _between("transport", rows, rows + [3, 0, 4])[0, 1] == pytest.approx(5)


def _song_hsic(left, right):
    """Song et al. 2012, eq. 5, written as it stands there."""
    n = len(left)
    k, m = left - np.diag(np.diag(left)), right - np.diag(np.diag(right))
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + middle - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def test_cka_is_the_debiased_formula_and_takes_prompts_of_different_widths(rng):
    rows = [rng.standard_normal((9, 5)) + 2, rng.standard_normal((9, 3)), rng.random((9, 5))]
    found = compare_rows(rows, "cka", names="abc").matrix
    kernels = [r @ r.T for r in rows]
    hsic = np.array([[_song_hsic(k, m) for k in kernels] for m in kernels])
    expected = hsic / np.sqrt(np.outer(np.diag(hsic), np.diag(hsic)))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_cka_does_not_see_rotation_scale_or_shift(rng):
    rows = rng.standard_normal((8, 5))
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    assert _between("cka", rows, 3 * rows @ turn + 7)[0, 1] == pytest.approx(1)


def test_unrelated_prompts_have_no_debiased_alignment_on_average(rng):
    pairs = [_between("cka", *rng.standard_normal((2, 20, 64)))[0, 1] for _ in range(200)]
    assert abs(np.mean(pairs)) < 3 * np.std(pairs) / np.sqrt(len(pairs))


def test_a_prompt_whose_rows_are_all_alike_aligns_with_nothing(rng):
    assert _between("cka", np.full((6, 3), 0.1), rng.standard_normal((6, 3)))[0, 1] == 0


def test_centring_removes_what_all_prompts_share(rng):
    rows = rng.standard_normal((3, 4, 6))
    shared = rows + 100
    plain = compare_rows(list(shared), names="abc").matrix
    centred = compare_rows(list(shared), names="abc", centre=True)
    assert (plain > 0.99).all() and centred.centre
    mean = rows.reshape(-1, 6).mean(axis=0)
    np.testing.assert_allclose(
        centred.matrix, cosine_similarity((rows - mean).mean(axis=1)), atol=1e-9
    )


def test_jaccard_counts_shared_strings():
    sets = [{"good", "bad"}, {"good", "film", "bad", "plot"}, {"x"}, set(), set()]
    matrix = compare_tokens(sets, names="abcde").matrix
    assert matrix[0, 1] == 0.5 and matrix[0, 2] == 0 and matrix[0, 0] == 1
    assert matrix[0, 3] == 0 and matrix[3, 4] == 1


def test_words_meet_across_tokenizers_that_mark_the_space_otherwise(make_vocabulary):
    words = ["␣great", "great", "␣", "##ly"]
    vocabulary = make_vocabulary(np.eye(4, dtype=np.float32), words=words)
    assert token_strings(np.array([[0, 1], [2, 3]]), vocabulary) == {"great", "␣", "##ly"}


def test_neuron_overlap_is_the_cosine_of_what_fires():
    fires = np.array([[[1.0, 2, -1, 0], [1, 1, 1, 1]], [[5, -2, 3, -1], [-1, -1, -1, -1]]])
    all_layers = compare_activations(fires, names="ab")
    assert all_layers.matrix[0, 1] == pytest.approx(1 / np.sqrt(6 * 2))
    first = compare_activations(fires, names="ab", layers=slice(0, 1))
    assert first.matrix[0, 1] == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="layers asked for are not there"):
        compare_activations(fires, names="ab", layers=slice(2, 3))


def test_the_nearest_pair_comes_first_whichever_way_the_measure_goes(rng):
    near = rng.standard_normal((5, 4))
    rows = [rng.standard_normal((5, 4)) + 9, near, near + 0.01, rng.standard_normal((5, 4)) - 5]
    for measure in OF_ROWS:
        comparison = compare_rows(rows, measure, names="abcd")
        i, j, value = comparison.nearest[0]
        off = comparison.matrix[np.triu_indices(4, 1)]
        assert value == (off.max() if comparison.higher_is_closer else off.min())
        assert comparison.matrix[i, j] == value and i < j
        assert len(comparison.nearest) == 6


def test_order_and_tree_are_those_of_scipy_and_put_alike_prompts_together(rng):
    centres = rng.standard_normal((2, 3, 8)) * 4
    family = [0, 1, 0, 1, 1, 0]
    rows = [centres[f] + 0.1 * rng.standard_normal((3, 8)) for f in family]
    for measure in ("chamfer", "mean_token_cosine"):
        comparison = compare_rows(rows, measure, names="abcdef")
        tree = hierarchy(comparison)
        ordered = [family[leaf] for leaf in tree.order]
        assert ordered in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
        apart = comparison.matrix if measure == "chamfer" else 1 - comparison.matrix
        apart = apart - np.diag(np.diag(apart))
        expected = linkage(squareform(apart, checks=False), "average", optimal_ordering=True)
        np.testing.assert_allclose(tree.linkage, expected, atol=1e-12)
        assert len(tree.to_frame()) == len(tree.to_json()["linkage"]) == 5


def test_separation_is_one_for_families_apart_and_agrees_with_mann_and_whitney(rng):
    rows = [rng.standard_normal((4, 6)) + 9 * max(0, n - 2) ** 2 for n in range(6)]
    comparison = compare_rows(rows, "chamfer", names="abcdef")
    families, starts = ["x"] * 3 + ["y", "z", "w"], np.full((6, 6), -1)
    assert separation(-comparison.matrix, families, starts).area == 1
    assert separation(comparison.matrix, families, starts).area == 0
    noise = rng.random((6, 6))
    i, j = np.triu_indices(6, 1)
    same = np.array(families)[i] == np.array(families)[j]
    u = mannwhitneyu(noise[i, j][same], noise[i, j][~same]).statistic
    expected = u / (same.sum() * (~same).sum())
    assert separation(noise, families, starts).area == pytest.approx(expected)
    assert separation(noise, list("uvwxyz"), starts) is None
    assert separation(noise, ["x", "x", None, None, None, "y"], starts).other == 2


def test_positions_are_compared_one_by_one(rng):
    a, b = rng.standard_normal((3, 5)), rng.standard_normal((4, 5))
    view = position_view(a, b, names=("a", "b"))
    np.testing.assert_allclose(view.cosines, cosine_similarity(a, b))
    np.testing.assert_allclose(view.matched, np.diag(cosine_similarity(a, b)))
    with pytest.raises(ValueError, match="b has width 4"):
        position_view(a, b[:, :4], names=("a", "b"))


def test_a_thousand_prompts_are_compared_and_ordered(rng):
    rows = list(rng.standard_normal((1000, 20, 64), dtype=np.float32))
    names = [str(n) for n in range(1000)]
    for measure in ("mean_token_cosine", "mean_pairwise_cosine", "flattened_cosine", "cka"):
        comparison = compare_rows(rows, measure, names=names)
        assert comparison.matrix.shape == (1000, 1000) and len(comparison.nearest) == 100
    assert sorted(hierarchy(comparison).order) == list(range(1000))


# Refusals


def _prompt(name, length=5, width=6, model="m"):
    return SoftPrompt(name, np.ones((length, width)), base_model=model)


@pytest.mark.parametrize(
    ("others", "measure", "message"),
    [
        ([_prompt("b", width=7)], "chamfer", "a has width 6, b has width 7"),
        ([_prompt("b", model="n")], "mean_token_cosine", "a was trained on m, b on n"),
        ([_prompt("b", length=4)], "flattened_cosine", "a has 5 positions, b has 4"),
        ([_prompt("b", length=4)], "cka", "a has 5 positions, b has 4"),
        (
            [KVPrefix("kv", np.ones((1, 1, 5, 2)), np.ones((1, 1, 5, 2)))],
            "cka",
            "kv is a key/value prefix",
        ),
    ],
)
def test_pairs_without_a_measure_are_refused_with_both_names(others, measure, message):
    with pytest.raises(NotComparableError, match=message):
        comparable([_prompt("a"), *others], measure)


def test_what_a_measure_does_not_need_is_not_asked_for():
    assert comparable([_prompt("a"), _prompt("b", length=4)], "transport")
    assert comparable([_prompt("a"), _prompt("b", width=7, model="n")], "cka")
    assert comparable([_prompt("a"), _prompt("b", model="n")], "chamfer", same_model=True)
    assert comparable([_prompt("a"), _prompt("b", model=None)], "chamfer")
    with pytest.raises(NotComparableError, match="centring needs rows of one embedding table"):
        comparable([_prompt("a"), _prompt("b", width=7)], "cka", centre=True)
    with pytest.raises(NotComparableError, match="cka needs 4 positions"):
        comparable([_prompt("a", length=3), _prompt("b", length=3)], "cka")


def test_one_prompt_an_unknown_measure_and_a_missing_name_are_usage_errors():
    with pytest.raises(ValueError, match="two prompts or more, found 1"):
        compare_rows([A], names=["a"])
    with pytest.raises(ValueError, match=r"measure must be one of mean_token_cosine.*'nearness'"):
        compare_rows([A, B], "nearness", names="ab")
    with pytest.raises(ValueError, match="a name for each of 2 prompts, found 1"):
        compare_rows([A, B], names=["a"])


# Figures of real prompts (thunlp/Prompt-Transferability, roberta-base)

FIGURES = [
    ("mean_token_cosine", False, "SST2", "IMDB", 0.50815),
    ("mean_token_cosine", False, "MNLI", "QNLI", 0.64711),
    ("mean_token_cosine", False, "MNLI", "snli", 0.67584),
    ("mean_token_cosine", False, "QNLI", "snli", 0.71767),
    ("mean_token_cosine", False, "IMDB", "snli", 0.24168),
    ("mean_token_cosine", True, "SST2", "IMDB", 0.92228),
    ("mean_token_cosine", True, "SST2", "MNLI", -0.76601),
    ("flattened_cosine", False, "SST2", "snli", 0.26262),
    ("inverse_euclidean", False, "SST2", "IMDB", 0.00938),
    ("mean_pairwise_cosine", False, "MNLI", "snli", 0.09682),
]


@pytest.fixture(scope="module")
def roberta():
    folder = Path(__file__).parents[3] / "shared" / "prompts" / "thunlp-pickle-roberta-base"
    if not folder.is_dir():
        pytest.skip("the real RoBERTa prompts are not on this machine")
    prompts = load(folder)
    return [p.name for p in prompts], [p.embeddings for p in prompts]


@pytest.mark.parametrize(("measure", "centre", "first", "second", "value"), FIGURES)
def test_known_figures_hold_on_real_prompts(roberta, measure, centre, first, second, value):
    names, rows = roberta
    matrix = compare_rows(rows, measure, names=names, centre=centre).matrix
    found = matrix[names.index(first), names.index(second)]
    assert found == pytest.approx(value, abs=6e-6)
