"""Do prompt rows, or whole prompts, fall into groups, and what do the groups say?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from probe.analysis.mixing import Tightness, tightness
from probe.analysis.neighbours import nearest_tokens, require_widths
from probe.arrays import Float32Array, FloatArray, IntArray
from probe.errors import require_choice
from probe.linalg import unit_rows
from probe.results import Result
from probe.texts import counted
from probe.vocabulary import Vocabulary

ClusterMethod = Literal["kmeans", "hdbscan", "agglomerative"]
ClusterMetric = Literal["cosine", "l2"]
Items = Literal["rows", "prompts"]
CLUSTER_METHODS: tuple[ClusterMethod, ...] = ("kmeans", "hdbscan", "agglomerative")

TOKENS = 5
"""Tokens that name a cluster."""
MOST_CLUSTERS = 8
"""Most clusters tried when their number is left open."""
_RESTARTS = 10


@dataclass(frozen=True)
class Cluster:
    """One group of items."""

    label: int
    size: int
    tokens: tuple[str, ...]
    """The tokens nearest to its centroid, nearest first."""
    members: tuple[int, ...]
    """[N] how many of its items each prompt has."""


@dataclass(frozen=True, eq=False)
class Clusters(Result):
    """Groups of rows, or of prompts."""

    _left_out: ClassVar[frozenset[str]] = frozenset({"owners", "positions"})
    items: Items
    method: ClusterMethod
    metric: ClusterMetric
    seed: int
    model: str
    prompts: tuple[str, ...]
    """[N] names."""
    owners: IntArray
    """[n] the prompt of each item."""
    positions: IntArray
    """[n] its position; −1 where items are whole prompts."""
    labels: IntArray
    """[n] the cluster of each item; −1 for what HDBSCAN leaves out as noise."""
    silhouette: float | None
    """−1 to 1: how much closer items are to their own cluster; None unless there are two."""
    clusters: tuple[Cluster, ...]
    """Largest first."""
    tightness: Tightness
    """Lester's observation on the rows of all prompts."""
    notes: tuple[str, ...] = ()
    """What makes the clusters doubtful, such as rows of another model."""

    def _document(self) -> dict[str, Any]:
        items = zip(self.owners, self.positions, self.labels, strict=True)
        return {
            **super()._document(),
            "noise": np.count_nonzero(self.labels < 0),
            "labels": [
                {
                    "prompt": owner,
                    "position": position if position >= 0 else None,
                    "cluster": label if label >= 0 else None,
                }
                for owner, position, label in items
            ],
        }

    def _rows(self) -> dict[str, Any]:
        """One row per item."""
        tokens = {cluster.label: " ".join(cluster.tokens) for cluster in self.clusters}
        return {
            "prompt": [self.prompts[owner] for owner in self.owners],
            "position": self.positions,
            "cluster": self.labels,
            "tokens": [tokens.get(label, "") for label in self.labels],
        }


@dataclass(frozen=True)
class Grouping:
    """What is grouped, and how."""

    method: ClusterMethod = "kmeans"
    """`hdbscan` finds the number of clusters itself and may leave items out."""
    items: Items = "rows"
    """Cluster `rows` or whole `prompts`."""
    metric: ClusterMetric = "cosine"
    """`cosine` or `l2`."""
    count: int | None = None
    """Clusters; the number of best silhouette up to 8 when None."""
    seed: int = 0
    """Of k-means and of the random vocabulary rows."""


def cluster(
    prompts: Sequence[Float32Array],
    vocabulary: Vocabulary,
    grouping: Grouping = Grouping(),
    *,
    names: Sequence[str],
) -> Clusters:
    """Group the rows of N prompts [P, H], or the prompts; name each group by its nearest tokens.

    Under `cosine` items are scaled to unit length first, so that Euclidean methods see directions;
    a prompt is then the mean of its unit rows. Centroids are means of what was clustered. Sources:
    Lloyd 1982; Campello et al. 2013 (HDBSCAN); average linkage; Rousseeuw 1987 (silhouette).

    Raises:
        ValueError: a bad method, metric or count, widths that differ, or fewer than 3 items.
    """
    metric, seed = grouping.metric, grouping.seed
    _check(prompts, vocabulary, grouping)
    rows = np.concatenate(prompts)
    lengths = [len(prompt) for prompt in prompts]
    directed = unit_rows(rows.astype(np.float64)) if metric == "cosine" else rows.astype(np.float64)
    owners = np.repeat(np.arange(len(prompts)), lengths)
    positions = np.concatenate([np.arange(length) for length in lengths])
    if grouping.items == "prompts":
        directed = np.stack([directed[owners == n].mean(axis=0) for n in range(len(prompts))])
        directed = unit_rows(directed) if metric == "cosine" else directed
        owners, positions = np.arange(len(prompts)), np.full(len(prompts), -1)
    labels, silhouette = _grouped(directed, grouping)
    return Clusters(
        items=grouping.items,
        method=grouping.method,
        metric=metric,
        seed=seed,
        model=vocabulary.name,
        prompts=tuple(names),
        owners=owners,
        positions=positions,
        labels=labels,
        silhouette=silhouette,
        clusters=_named(directed, labels, owners, len(prompts), vocabulary, metric),
        tightness=tightness(rows, vocabulary, seed=seed),
    )


def _grouped(items: FloatArray, grouping: Grouping) -> tuple[IntArray, float | None]:
    """Labels [n], the largest cluster being 0, and their silhouette."""
    method, count = grouping.method, grouping.count
    if len(items) < 3:
        raise ValueError(f"clusters need 3 items or more, found {len(items)}: add prompts")
    different = len(np.unique(items, axis=0))
    if method != "hdbscan" and count is not None and not 2 <= count <= different:
        raise ValueError(
            f"expected 2 to {counted(different, 'cluster')}, found {count}: at most one for each "
            "different item"
        )
    if method == "hdbscan" and count is not None:
        raise ValueError("hdbscan finds the number of clusters itself: leave the count out")
    most = min(MOST_CLUSTERS, len(items) - 1, different)
    counts: Sequence[int] = range(2, max(2, most) + 1)
    if count is not None or method == "hdbscan":
        counts = [count or 0]
    tried = [_labels(items, method, number, grouping.seed) for number in counts]
    scored = [(_silhouette(items, labels), labels) for labels in tried]
    silhouette, best = max(scored, key=lambda pair: -2.0 if pair[0] is None else pair[0])
    return _by_size(best), silhouette


def _labels(items: FloatArray, method: ClusterMethod, count: int, seed: int) -> IntArray:
    from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
    from sklearn.exceptions import ConvergenceWarning

    if method == "kmeans":
        with warnings.catch_warnings():  # items that differ by rounding alone are one cluster
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = KMeans(count, n_init=_RESTARTS, random_state=seed).fit_predict(items)
    elif method == "agglomerative":
        found = AgglomerativeClustering(count, linkage="average").fit_predict(items)
    else:
        smallest = min(5, max(2, len(items) // 2))
        found = HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(items)
    return np.asarray(found, dtype=np.int64)


def _silhouette(items: FloatArray, labels: IntArray) -> float | None:
    """Over the items that are in a cluster."""
    from sklearn.metrics import silhouette_score

    inside = labels >= 0
    groups = len(np.unique(labels[inside]))
    if not 2 <= groups < np.count_nonzero(inside):
        return None
    return float(silhouette_score(items[inside], labels[inside]))


def _by_size(labels: IntArray) -> IntArray:
    """The same groups, the largest called 0; noise stays −1."""
    sizes = np.bincount(labels[labels >= 0])
    rank = np.empty(len(sizes) + 1, dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    rank[-1] = -1
    return rank[labels]


def _named(
    items: FloatArray,
    labels: IntArray,
    owners: IntArray,
    prompts: int,
    vocabulary: Vocabulary,
    metric: ClusterMetric,
) -> tuple[Cluster, ...]:
    groups = range(int(labels.max()) + 1)
    if not groups:
        return ()
    centroids = np.stack([items[labels == n].mean(axis=0) for n in groups]).astype(np.float32)
    near = nearest_tokens(centroids, vocabulary, metric, k=TOKENS).ids
    return tuple(
        Cluster(
            label=n,
            size=int(np.count_nonzero(labels == n)),
            tokens=tuple(vocabulary.tokens[i] for i in near[n]),
            members=tuple(np.bincount(owners[labels == n], minlength=prompts).tolist()),
        )
        for n in groups
    )


def _check(prompts: Sequence[Float32Array], vocabulary: Vocabulary, grouping: Grouping) -> None:
    choices_of = {
        "method": CLUSTER_METHODS,
        "items": ("rows", "prompts"),
        "metric": ("cosine", "l2"),
    }
    for name, choices in choices_of.items():
        require_choice(name, getattr(grouping, name), choices)
    require_widths(prompts, vocabulary)
