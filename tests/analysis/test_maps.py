"""Maps: scikit-learn and umap-learn as oracles, seeds, trust, neighbours, the cache."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from probe.analysis import layouts
from probe.analysis.layouts import Layout
from probe.analysis.maps import map_rows
from probe.analysis.neighbours import nearest_tokens
from probe.linalg import principal_axes
from probe.store import Workspace


@pytest.fixture
def vocabulary(rng, make_vocabulary):
    shape = rng.standard_normal((6, 12)) * np.arange(6, 0, -1)[:, None]
    return make_vocabulary((rng.standard_normal((150, 6)) @ shape).astype(np.float32))


@pytest.fixture
def prompts(rng, vocabulary):
    near = vocabulary.rows(rng.integers(0, 150, 9)) + rng.standard_normal((9, 12))
    return [near[:5].astype(np.float32), near[5:].astype(np.float32)]


def _map(prompts, vocabulary, method="pca", cached=None, **options):
    keep = {} if cached is None else {"cached": cached}
    layout = Layout(method, **options)
    return map_rows(prompts, vocabulary, layout, names="ab"[: len(prompts)], **keep)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_pca_gives_the_places_and_signs_of_scikit_learn(prompts, vocabulary, metric):
    mapped = _map(prompts, vocabulary, metric=metric)
    both = np.concatenate([*prompts, vocabulary.rows(slice(None))])
    both = normalize(both) if metric == "cosine" else both
    oracle = PCA(2).fit(both)
    found = np.concatenate([mapped.points, mapped.background])
    np.testing.assert_allclose(found, oracle.transform(both), atol=1e-4)
    np.testing.assert_allclose(mapped.explained, oracle.explained_variance_ratio_, rtol=1e-4)


def test_norms_play_no_part_under_cosine_and_all_of_it_under_l2(prompts, vocabulary):
    longer = [prompts[0] * 50, prompts[1]]
    directions = (_map(prompts, vocabulary).points, _map(longer, vocabulary).points)
    np.testing.assert_allclose(*directions, atol=1e-5)
    places = [_map(rows, vocabulary, metric="l2").points for rows in (prompts, longer)]
    assert np.abs(places[0] - places[1]).max() > 10


@pytest.mark.slow
def test_umap_is_umap_learn_with_metric_and_seed_passed_on(prompts, vocabulary):
    mapped = _map(prompts, vocabulary, "umap", seed=3, n_neighbors=8)
    from umap import UMAP  # only now: importing it first would warn of an absent TensorFlow

    both = np.concatenate([*prompts, vocabulary.rows(slice(None))])
    oracle = UMAP(n_neighbors=8, metric="cosine", random_state=3, n_jobs=1).fit_transform(both)
    np.testing.assert_array_equal(np.concatenate([mapped.points, mapped.background]), oracle)
    assert mapped.explained is None and mapped.n_neighbors == 8 and mapped.perplexity is None


def test_tsne_is_that_of_scikit_learn_on_a_drawn_background(prompts, vocabulary):
    mapped = _map(prompts, vocabulary, "tsne", metric="l2", seed=1, background=60, perplexity=10)
    both = np.concatenate([*prompts, vocabulary.rows(mapped.background_ids)])
    with threadpool_limits(1, "openmp"):
        oracle = TSNE(perplexity=10, random_state=1).fit_transform(both)
    np.testing.assert_allclose(np.concatenate([mapped.points, mapped.background]), oracle)
    assert len(set(mapped.background_ids)) == len(mapped.background) == 60


def test_trustworthiness_is_that_of_scikit_learn_in_the_sample_it_names(
    prompts, vocabulary, monkeypatch
):
    whole = _map(prompts, vocabulary, metric="l2")  # fewer rows than the sample holds
    both = np.concatenate([*prompts, vocabulary.rows(slice(None))])
    places = np.concatenate([whole.points, whole.background])
    assert whole.trust_sample == 159
    assert whole.trustworthiness == pytest.approx(trustworthiness(both, places, n_neighbors=10))
    monkeypatch.setattr(layouts, "TRUST_SAMPLE", 40)
    part = _map(prompts, vocabulary, metric="l2")
    assert part.trust_sample == 40 and part.trustworthiness != whole.trustworthiness
    again = _map(prompts, vocabulary, metric="l2")
    other = _map(prompts, vocabulary, metric="l2", seed=1)
    assert again.trustworthiness == part.trustworthiness != other.trustworthiness


def test_a_flat_world_is_mapped_without_loss(rng, make_vocabulary):
    turn = np.linalg.qr(rng.standard_normal((7, 7)))[0][:2]
    flat = (rng.standard_normal((80, 2)) @ turn).astype(np.float32)
    mapped = map_rows([flat[:4]], make_vocabulary(flat), Layout(metric="l2"), names=["a"])
    assert mapped.trustworthiness > 0.999 and sum(mapped.explained) == pytest.approx(1)


def test_neighbours_are_those_of_the_original_space_and_travel_in_the_json(prompts, vocabulary):
    mapped = _map(prompts, vocabulary, metric="l2")
    near = nearest_tokens(np.concatenate(prompts), vocabulary, "l2", k=10)
    np.testing.assert_array_equal(mapped.neighbours.ids, near.ids)
    points = mapped.to_json()["points"]
    assert [p["neighbours"][0]["id"] for p in points] == near.ids[:, 0].tolist()
    assert [(p["prompt"], p["position"]) for p in points][4:6] == [(0, 4), (1, 0)]
    frame = mapped.to_frame()
    assert len(frame) == 9 + 150 and frame["prompt"].notna().sum() == 9


def test_a_kept_layout_is_read_back_and_only_for_the_same_question(prompts, vocabulary, tmp_path):
    workspace = Workspace(tmp_path)
    asked = []

    def cached(key, compute, fits):
        asked.append(key)
        return workspace.cached_arrays(key, compute, fits)

    def again(**options):
        return _map(
            prompts, vocabulary, "tsne", background=30, perplexity=5, cached=cached, **options
        )

    first, second = again(), again()
    np.testing.assert_array_equal(first.points, second.points)
    assert (first.trustworthiness, first.trust_sample) == (
        second.trustworthiness,
        second.trust_sample,
    )
    again(seed=1)
    again(metric="l2")
    _map([prompts[0]], vocabulary, "tsne", background=30, perplexity=5, cached=cached)
    assert asked[0] == asked[1] and len(set(asked)) == 4
    assert len(list(workspace.cache.glob("*.npz"))) == 4
    _map(prompts, vocabulary, cached=cached)
    assert len(asked) == 5  # PCA is computed sooner than it is read


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "mds"}, "method must be one of pca, umap, tsne, found 'mds'"),
        ({"metric": "dot"}, "metric must be cosine or l2 for a map, found 'dot'"),
        ({"n_neighbors": 1}, "2 neighbours and 10 background rows or more, found 1"),
        ({"background": 3}, "10 background rows or more, found 15 and 3"),
    ],
)
def test_bad_numbers_and_names_are_refused(options, message, prompts, vocabulary):
    with pytest.raises(ValueError, match=message):
        _map(prompts, vocabulary, **options)


@pytest.mark.parametrize("scale", [1e20, 1e-24])
def test_a_cosine_map_does_not_depend_on_the_scale(prompts, vocabulary, scale):
    plain = _map(prompts, vocabulary)
    scaled = _map([rows * np.float32(scale) for rows in prompts], vocabulary)
    np.testing.assert_allclose(scaled.points, plain.points, atol=1e-5)


def test_what_cannot_be_mapped_is_refused(rng, make_vocabulary, prompts, vocabulary):
    narrow = make_vocabulary(rng.standard_normal((50, 1)).astype(np.float32))
    with pytest.raises(ValueError, match="rows of two numbers or more"):
        map_rows([np.ones((3, 1), np.float32)], narrow, Layout(), names=["a"])
    with pytest.raises(ValueError, match=r"up to 1e\+15, found .*: choose cosine"):
        _map([prompts[0] * 1e20], vocabulary, metric="l2")


def test_rows_of_another_width_are_refused(vocabulary):
    with pytest.raises(ValueError, match=r"the table's width 12, found \[5, 12\]"):
        map_rows([np.ones((3, 5), np.float32)], vocabulary, Layout(), names=["a"])


def test_principal_axes_of_a_known_ellipse():
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    rows = np.stack([np.zeros(100), 5 + 3 * np.cos(angle), np.sin(angle)], axis=1)
    found = principal_axes([rows], 2)
    np.testing.assert_allclose(found.axes, [[0, 1, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(found.variances, [9 / 2 * 100 / 99, 1 / 2 * 100 / 99])
    np.testing.assert_allclose(found.coordinates(rows, 2), rows[:, 1:] - [5, 0], atol=1e-12)
    assert found.total_variance == pytest.approx(found.variances.sum())


def test_principal_axes_keep_their_digits_far_from_the_origin_and_over_many_rows(rng):
    rows = rng.standard_normal((5000, 4)) * [4, 2, 1, 0.5]
    oracle = PCA(3).fit(rows)
    found = principal_axes(np.split((rows + 1000).astype(np.float32), [300]), 3)
    np.testing.assert_allclose(found.variances, oracle.explained_variance_, rtol=1e-4)
    np.testing.assert_allclose(found.axes, oracle.components_, atol=1e-3)
    with pytest.raises(ValueError, match="1 to 4 axes, found 5000 and 5"):
        principal_axes([rows], 5)


def test_the_spectrum_is_scikit_learn_s_and_begins_with_the_map_s_axes(prompts, vocabulary):
    mapped = _map(prompts, vocabulary, metric="l2")
    both = np.concatenate([*prompts, vocabulary.rows(slice(None))])
    np.testing.assert_allclose(
        mapped.spectrum, PCA(10).fit(both).explained_variance_ratio_, atol=1e-4
    )
    assert mapped.spectrum[:2] == mapped.explained


@pytest.mark.parametrize("damage", ["other names", "NaN", "another shape", "no numbers"])
def test_a_kept_layout_that_cannot_be_one_is_computed_again(
    damage, prompts, vocabulary, tmp_path, caplog
):
    caplog.set_level("INFO")
    workspace = Workspace(tmp_path)

    def again():
        return _map(
            prompts, vocabulary, "tsne", background=30, perplexity=5, cached=workspace.cached_arrays
        )

    first = again()
    (kept,) = workspace.cache.glob("*.npz")
    with np.load(kept) as file:
        arrays = dict(file)
    if damage == "other names":
        arrays = {f"{name}s": array for name, array in arrays.items()}
    elif damage == "NaN":
        arrays["places"][3] = np.nan
    elif damage == "another shape":
        arrays["places"] = arrays["places"][:-1]
    else:
        arrays["places"] = arrays["places"].astype(str)
    np.savez(kept, **arrays)
    np.testing.assert_array_equal(again().points, first.points)
    assert [kept.name in message for message in caplog.messages] == [True]
