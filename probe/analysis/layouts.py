"""Rows in two dimensions by PCA, UMAP or t-SNE, and how far neighbourhoods are to be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from probe.arrays import Arrays, Float32Array, FloatArray, IntArray
from probe.linalg import principal_axes, unit_rows

Method = Literal["pca", "umap", "tsne"]
MapMetric = Literal["cosine", "l2"]
METHODS: tuple[Method, ...] = ("pca", "umap", "tsne")
METHOD_NAMES: dict[Method, str] = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}
METRICS: tuple[MapMetric, ...] = ("cosine", "l2")
TRUST_SAMPLE = 300
"""Rows among which trustworthiness is measured, prompt rows being half of them at most."""
TRUST_NEIGHBOURS = 10
SPECTRUM = 10
"""Principal axes whose shares of the variance are told."""


@dataclass(frozen=True)
class Layout:
    """How rows are laid out."""

    method: Method = "pca"
    """`pca` is there at once; `umap` and `tsne` take a minute or more."""
    metric: MapMetric = "cosine"
    """`cosine` or `l2`."""
    seed: int = 0
    """Of the layout, of the rows drawn and of the trustworthiness sample."""
    background: int | None = None
    """Vocabulary rows, drawn at random; all when None (t-SNE: 4,000)."""
    n_neighbors: int = 15
    """UMAP's."""
    perplexity: float = 15.0
    """t-SNE's."""


def lay_out(rows: Float32Array, table: Float32Array, layout: Layout) -> Arrays:
    """Places [n + B, 2] of prompt rows [n, H] and vocabulary rows [B, H], and their worth."""
    method, metric, seed = layout.method, layout.metric, layout.seed
    explained: Sequence[float] = ()
    if method == "pca":
        parts = [unit_rows(part) if metric == "cosine" else part for part in (rows, table)]
        axes = principal_axes(parts, min(SPECTRUM, parts[0].shape[1]))
        places = np.concatenate([axes.coordinates(part, 2) for part in parts])
        explained = tuple(axes.variances / max(axes.total_variance, np.finfo(float).tiny))
    else:
        both = np.concatenate([rows, table])
        if method == "umap":
            places = _umap(both, metric, seed, layout.n_neighbors)
        else:
            places = _tsne(both, metric, seed, layout.perplexity)
    own, others = _trust_sample(len(rows), len(table), seed)
    original = np.concatenate([rows[own], table[others]])
    shown = places[np.concatenate([own, others + len(rows)])]
    return {
        "places": np.asarray(places, dtype=np.float32),
        "explained": np.array(explained),
        "trustworthiness": np.array(_trustworthiness(original, shown, metric)),
        "trust_sample": np.array(len(original)),
    }


def _umap(rows: Float32Array, metric: MapMetric, seed: int, n_neighbors: int) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # a part nobody needs asks for TensorFlow
        from umap import UMAP

    layout = UMAP(
        n_neighbors=min(n_neighbors, len(rows) - 1),
        metric="cosine" if metric == "cosine" else "euclidean",
        random_state=seed,
        n_jobs=1,  # a seed asks for it
    )
    return np.asarray(layout.fit_transform(rows))


def _tsne(rows: Float32Array, metric: MapMetric, seed: int, perplexity: float) -> FloatArray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    layout = TSNE(
        perplexity=min(perplexity, (len(rows) - 1) / 3),
        metric="cosine" if metric == "cosine" else "euclidean",
        random_state=seed,
    )
    # Threads add in an order of their own, and wait for each other for ages beside a busy core.
    with threadpool_limits(1, "openmp"):
        return np.asarray(layout.fit_transform(rows))


def _trust_sample(count: int, background: int, seed: int) -> tuple[IntArray, IntArray]:
    """Prompt rows and vocabulary rows among which trustworthiness is measured."""
    rng = np.random.default_rng(seed)
    own = rng.permutation(count)[: TRUST_SAMPLE // 2]
    return own, rng.permutation(background)[: TRUST_SAMPLE - len(own)]


def _trustworthiness(rows: Float32Array, places: FloatArray, metric: MapMetric) -> float:
    """Venna & Kaski 2001, "Neighborhood preservation in nonlinear projection methods"."""
    from sklearn.manifold import trustworthiness

    near = min(TRUST_NEIGHBOURS, (len(rows) - 1) // 2)
    original = "cosine" if metric == "cosine" else "euclidean"
    return float(trustworthiness(rows, places, n_neighbors=max(1, near), metric=original))
