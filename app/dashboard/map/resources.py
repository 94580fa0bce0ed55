"""Maps, clusters and figures of them, each computed once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from dashboard.map.points import Groups
from dashboard.shared.limits import costly
from dashboard.shared.prompt_pool import BY_KEY, Pool
from probe.analysis.clusters import Clusters
from probe.analysis.layouts import MapMetric, Method
from probe.analysis.maps import Map
from probe.analysis.mixing import Mixing, mixing
from probe.analysis.starts import changes_since_start
from probe.arrays import Float32Array
from probe.charts import map_figure
from probe.verbs import comparing
from probe.verbs.comparing import kept_map


class _NotThereError(Exception):
    """The layout has not been computed."""


def map_of(
    pool: Pool, method: Method, metric: MapMetric, seed: int, *, change: bool = False
) -> Map | None:
    """The map, unless its layout takes long and has not been computed yet.

    Raises:
        ProbeError: a prompt or the model cannot be read.
    """
    try:
        return _map(pool, method, metric, seed, change=change)
    except _NotThereError:
        return None


@st.cache_resource(show_spinner="Laying out the vocabulary …", max_entries=12, hash_funcs=BY_KEY)
@costly
def _map(
    pool: Pool,
    method: Method,
    metric: MapMetric,
    seed: int,
    *,
    change: bool,
) -> Map:
    found = kept_map(
        pool.prompts, method, metric=metric, seed=seed, change=change, model=pool.vocabulary
    )
    if found is None:
        raise _NotThereError
    return found


@st.cache_data(show_spinner="Looking for clusters …", max_entries=32, hash_funcs=BY_KEY)
@costly
def clusters_of(
    pool: Pool,
    metric: MapMetric,
    seed: int,
    *,
    change: bool = False,
) -> Clusters:
    """Groups of the pool's rows by k-means, as many as have the best silhouette.

    Raises:
        ValueError: there are too few rows.
    """
    looked_at = tuple(
        replace(prompt, embeddings=rows)
        for prompt, rows in zip(pool.prompts, rows_of(pool, change=change), strict=True)
    )
    return comparing.clusters(looked_at, metric=metric, seed=seed, model=pool.vocabulary)


def rows_of(pool: Pool, *, change: bool) -> list[Float32Array]:
    """The rows of each prompt, or what training changed in them.

    Raises:
        NotComparableError: a file does not say what training began from.
    """
    if change:
        return [changes_since_start(prompt, pool.vocabulary) for prompt in pool.prompts]
    return [prompt.embeddings for prompt in pool.prompts]


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs=BY_KEY)
@costly
def mixing_of(
    pool: Pool,
    metric: MapMetric,
    *,
    change: bool = False,
) -> Mixing:
    """What the nearest neighbours of the pool's rows are."""
    return mixing(rows_of(pool, change=change), pool.vocabulary, metric)


def _key(mapped: Map) -> tuple[object, ...]:
    return (mapped.method, mapped.metric, mapped.seed, mapped.change, mapped.model, mapped.prompts,
            mapped.points.tobytes())  # fmt: skip


@st.cache_resource(show_spinner=False, max_entries=32, hash_funcs={Map: _key})
def figure_of(mapped: Map, groups: Groups | None, found: tuple[int, ...]) -> Any:
    """The figure, the very same as long as nothing about it changes: a chart redrawn is unzoomed.

    Nobody may change what this returns.
    """
    if groups is None:
        return map_figure(mapped, found=found)
    names = dict(groups.names)
    return map_figure(mapped, clusters=groups.labels, names=names, found=found)
