"""Maps, clusters and figures of them, each computed once."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.shared.prompt_pool import Key, Pool
from probe.analysis.clusters import Cluster, Clusters
from probe.analysis.maps import Map, MapMetric, Method
from probe.analysis.mixing import Mixing, mixing
from probe.charts import map_figure
from probe.verbs import clusters
from probe.verbs.mapping import kept_map


class _NotThereError(Exception):
    """The layout has not been computed."""


def map_of(pool: Pool, method: Method, metric: MapMetric, seed: int) -> Map | None:
    """The map, unless its layout takes long and has not been computed yet.

    Raises:
        ProbeError: a prompt or the model cannot be read.
    """
    try:
        return _map(pool.key, pool.model, method, metric, seed, _pool=pool)
    except _NotThereError:
        return None


@st.cache_resource(show_spinner="Laying out the vocabulary …", max_entries=12)
def _map(
    key: Key,  # noqa: ARG001  part of the cache's key, as the model
    model: str,  # noqa: ARG001
    method: Method,
    metric: MapMetric,
    seed: int,
    *,
    _pool: Pool,
) -> Map:
    found = kept_map(_pool.prompts, method, metric=metric, seed=seed, model=_pool.vocabulary)
    if found is None:
        raise _NotThereError
    return found


@st.cache_data(show_spinner="Looking for clusters …", max_entries=32)
def clusters_of(
    key: Key,  # noqa: ARG001  part of the cache's key, as the model
    model: str,  # noqa: ARG001
    metric: MapMetric,
    seed: int,
    *,
    _pool: Pool,
) -> Clusters:
    """Groups of the pool's rows by k-means, as many as have the best silhouette.

    Raises:
        ValueError: there are too few rows.
    """
    return clusters(_pool.prompts, metric=metric, seed=seed, model=_pool.vocabulary)


@st.cache_data(show_spinner=False, max_entries=64)
def mixing_of(
    key: Key,  # noqa: ARG001  part of the cache's key, as the model
    model: str,  # noqa: ARG001
    metric: MapMetric,
    *,
    _pool: Pool,
) -> Mixing:
    """What the nearest neighbours of the pool's rows are."""
    rows = [prompt.embeddings for prompt in _pool.prompts]
    return mixing(rows, _pool.vocabulary, metric)


@st.cache_resource(show_spinner=False, max_entries=32)
def figure_of(
    made: tuple[Any, ...],  # noqa: ARG001  what the map was made of, the cache's key
    clustered: bool,  # noqa: ARG001
    found: tuple[int, ...],
    *,
    _mapped: Map,
    _clusters: Clusters | None,
) -> Any:
    """The figure, the very same as long as nothing about it changes: a chart redrawn is unzoomed.

    Nobody may change what this returns.
    """
    if _clusters is None:
        return map_figure(_mapped, found=found)
    names = {one.label: cluster_name(one) for one in _clusters.clusters}
    return map_figure(_mapped, clusters=_clusters.labels.tolist(), names=names, found=found)


def cluster_name(cluster: Cluster) -> str:
    """A cluster by its first tokens."""
    return f"{cluster.label}: {' '.join(cluster.tokens[:3])}"
