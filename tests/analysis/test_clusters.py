"""Clusters of rows and prompts, and Lester's observation as a number."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.metrics.pairwise import cosine_similarity

from probe.analysis.clusters import CLUSTER_METHODS, Grouping, cluster
from probe.analysis.mixing import tightness


@pytest.fixture
def vocabulary(make_vocabulary):
    """Three families of words, each around an axis."""
    rng = np.random.default_rng(1)
    centres = np.repeat(np.eye(8)[:3] * 5, 20, axis=0)
    return make_vocabulary((centres + 0.3 * rng.standard_normal((60, 8))).astype(np.float32))


@pytest.fixture
def prompts(rng, vocabulary):
    """Prompt a has rows of families 0 and 1, prompt b of 1 and 2."""
    families = np.array([0] * 6 + [1] * 6), np.array([1] * 5 + [2] * 7)
    return families, [
        (np.eye(8)[f] * 5 + 0.3 * rng.standard_normal((12, 8))).astype(np.float32) for f in families
    ]


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("method", CLUSTER_METHODS)
def test_families_of_rows_are_found_counted_and_named_by_their_words(
    method, metric, prompts, vocabulary
):
    families, rows = prompts
    found = cluster(rows, vocabulary, Grouping(method, metric=metric), names=["a", "b"])
    truth = np.concatenate(families)
    inside = found.labels >= 0
    assert adjusted_rand_score(truth[inside], found.labels[inside]) == 1
    assert inside.mean() > 0.6
    for group in found.clusters:
        family = truth[found.labels == group.label][0]
        words = {f"word{i}" for i in range(family * 20, family * 20 + 20)}
        assert set(group.tokens) <= words and len(group.tokens) == 5
        assert group.size == sum(group.members) == (found.labels == group.label).sum()
    sizes = [group.size for group in found.clusters]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 3
    if method == "kmeans":
        assert [group.members for group in found.clusters] == [(6, 5), (0, 7), (6, 0)]


def test_silhouette_is_that_of_scikit_learn(prompts, vocabulary):
    rows = prompts[1]
    found = cluster(rows, vocabulary, Grouping(metric="l2", count=2, seed=4), names="ab")
    every = np.concatenate(rows).astype(np.float64)
    labels = KMeans(2, n_init=10, random_state=4).fit_predict(every)
    assert found.silhouette == pytest.approx(silhouette_score(every, labels))
    assert adjusted_rand_score(labels, found.labels) == 1


def test_prompts_can_be_clustered_whole(rng, vocabulary):
    rows = [(np.eye(8)[n % 2] * 5 + rng.standard_normal((4, 8))).astype("f4") for n in range(6)]
    found = cluster(rows, vocabulary, Grouping("agglomerative", "prompts", count=2), names="abcdef")
    assert found.labels.tolist() in ([0, 1] * 3, [1, 0] * 3)
    assert (found.positions == -1).all()
    assert found.to_json()["labels"][2] == {
        "prompt": 2,
        "position": None,
        "cluster": int(found.labels[2]),
    }
    assert len(found.to_frame()) == 6


def test_noise_is_in_no_cluster(rng, vocabulary):
    centres = np.repeat(np.eye(8)[:2] * 5, 9, axis=0)
    far = np.eye(8)[2:4] * [[40], [-70]]
    rows = np.concatenate([centres + 0.1 * rng.standard_normal((18, 8)), far]).astype("f4")
    found = cluster([rows], vocabulary, Grouping("hdbscan", metric="l2"), names="a")
    document = found.to_json()
    assert document["noise"] >= 2 and (found.labels[-2:] == -1).all()
    assert sum(c["size"] for c in document["clusters"]) + document["noise"] == len(rows)


@pytest.mark.parametrize("different", [1, 2])
def test_rows_that_repeat_make_no_more_clusters_than_there_are_of_them(vocabulary, different):
    """A prompt that never left one word has equal rows; scikit-learn would warn of them."""
    rows = np.repeat(np.eye(8, dtype=np.float32)[:different] * 5, 6, axis=0)
    found = cluster([rows], vocabulary, names="a")
    assert [group.size for group in found.clusters] == [6] * different
    with pytest.raises(ValueError, match="at most one for each different item"):
        cluster([rows], vocabulary, Grouping(count=3), names="a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dbscan"}, "method must be one of kmeans, hdbscan, agglomerative"),
        ({"items": "tokens"}, "items must be one of rows, prompts"),
        ({"metric": "dot"}, "metric must be one of cosine, l2"),
        ({"count": 99}, "expected 2 to 24 clusters, found 99"),
        ({"method": "hdbscan", "count": 3}, "hdbscan finds the number of clusters itself"),
        ({"items": "prompts"}, "clusters need 3 items or more, found 2"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message, prompts, vocabulary):
    with pytest.raises(ValueError, match=message):
        cluster(prompts[1], vocabulary, Grouping(**options), names="ab")


# Lester's observation


def test_tightness_is_the_mean_cosine_between_five_nearest_tokens(rng, vocabulary):
    rows = (np.eye(8)[[0, 2]] * 3).astype(np.float32)
    found = tightness(rows, vocabulary)
    table = vocabulary.table
    for row, value in zip(rows, found.rows, strict=True):
        near = np.argsort(-cosine_similarity([row], table)[0])[:5]
        between = cosine_similarity(table[near])[np.triu_indices(5, 1)]
        assert value == pytest.approx(between.mean(), abs=1e-6)


def test_families_are_tight_around_words_and_loose_at_random(vocabulary):
    found = tightness(vocabulary.rows([0, 25, 50]), vocabulary, seed=1)
    assert found.tokens.mean() > 0.95 > 0.6 > found.random.mean()
    assert found.rows.mean() > 0.95 and len(found.random) == len(found.tokens) == 60
    again = tightness(vocabulary.rows([0, 25, 50]), vocabulary, seed=1)
    np.testing.assert_array_equal(found.random, again.random)
    assert found.to_json()["sample"] == 60 and len(found.to_frame()) == 123


def test_a_row_between_families_has_loose_neighbours(vocabulary):
    middle = np.eye(8, dtype=np.float32)[:3].sum(axis=0, keepdims=True)
    assert tightness(middle, vocabulary).percentile < 5


def test_tokens_no_text_reaches_are_not_drawn(make_vocabulary):
    few = make_vocabulary(np.eye(8, dtype=np.float32), special=range(4))
    with pytest.raises(ValueError, match="expected more than 5 tokens"):
        tightness(np.eye(8, dtype=np.float32), few)
