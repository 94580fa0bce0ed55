"""Clusters and maps of prompts in the vocabulary of the model they share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from probe.analysis import clusters as grouping
from probe.analysis import maps
from probe.analysis.clusters import ClusterMethod, ClusterMetric, Clusters, Items
from probe.analysis.controls import Arrays
from probe.analysis.decoding import require_decodable
from probe.analysis.maps import Map, MapMetric, Method
from probe.prompt import SoftPrompt
from probe.store import Workspace
from probe.verbs.decoding import taken_for
from probe.verbs.gathering import Source, gather, one_vocabulary, require_count
from probe.vocabulary import Vocabulary


def clusters(
    prompts: Sequence[Source],
    method: ClusterMethod = "kmeans",
    *,
    items: Items = "rows",
    metric: ClusterMetric = "cosine",
    count: int | None = None,
    seed: int = 0,
    model: str | Path | Vocabulary | None = None,
    workspace: Workspace | None = None,
) -> Clusters:
    """Do the rows of these prompts, or the prompts themselves, fall into groups?

    Args:
        prompts: prompts, or anything `load` takes; all trained prompts of a source.
        method: `kmeans`, `hdbscan` or `agglomerative`.
        items: cluster `rows` or whole `prompts`.
        metric: `cosine` or `l2`.
        count: clusters; the number of best silhouette when None.
        seed: of k-means and of the random vocabulary rows beside.
        model: the base model or its vocabulary; the prompts' own when None.
        workspace: the default one when None.

    Raises:
        ProbeError: a prompt or the model cannot be read, or prompts do not share a table.
        ValueError: a bad method, metric or count, or too few items.
    """
    pool, vocabulary = _pool(prompts, model, workspace, "a clustering")
    found = grouping.cluster(
        [prompt.embeddings for prompt in pool],
        vocabulary,
        method,
        names=[prompt.name for prompt in pool],
        items=items,
        metric=metric,
        count=count,
        seed=seed,
    )
    return dataclasses.replace(found, notes=taken_for(pool, vocabulary))


def map(
    prompts: Sequence[Source],
    method: Method = "pca",
    *,
    metric: MapMetric = "cosine",
    seed: int = 0,
    background: int | None = None,
    near: int = 15,
    model: str | Path | Vocabulary | None = None,
    workspace: Workspace | None = None,
) -> Map:
    """Where do these prompts' rows lie among the vocabulary?

    UMAP and t-SNE layouts are kept in the workspace's cache by content, parameters and version.

    Args:
        prompts: prompts, or anything `load` takes; all trained prompts of a source.
        method: `pca` (at once), `umap` or `tsne`.
        metric: `cosine` or `l2`.
        seed: of the layout and of whatever is drawn.
        background: vocabulary rows, drawn at random; all when None (t-SNE: 4,000).
        near: UMAP's `n_neighbors`, t-SNE's perplexity.
        model: the base model or its vocabulary; the prompts' own when None.
        workspace: keeps layouts; the default one when None.

    Raises:
        ProbeError: a prompt or the model cannot be read, or prompts do not share a table.
        ValueError: a bad method, metric or number.
    """
    workspace = workspace or Workspace()
    pool, vocabulary = _pool(prompts, model, workspace, "a map")
    mapped = maps.map_rows(
        [prompt.embeddings for prompt in pool],
        vocabulary,
        method,
        names=[prompt.name for prompt in pool],
        metric=metric,
        seed=seed,
        background=background,
        near=near,
        cached=workspace.cached_arrays,
    )
    return dataclasses.replace(mapped, notes=taken_for(pool, vocabulary))


class _NotKeptError(Exception):
    """The cache has no such layout."""


def kept_map(
    prompts: Sequence[Source],
    method: Method = "pca",
    *,
    metric: MapMetric = "cosine",
    seed: int = 0,
    model: str | Path | Vocabulary | None = None,
    workspace: Workspace | None = None,
) -> Map | None:
    """The map if it is there at once: by PCA, or because its layout was kept; None otherwise.

    Args:
        prompts: as `map` takes them.
        method: `pca`, `umap` or `tsne`.
        metric: `cosine` or `l2`.
        seed: of the layout.
        model: the base model or its vocabulary; the prompts' own when None.
        workspace: where layouts are kept; the default one when None.

    Raises:
        ProbeError: a prompt or the model cannot be read, or prompts do not share a table.
        ValueError: a bad method or metric.
    """
    workspace = workspace or Workspace()
    pool, vocabulary = _pool(prompts, model, workspace, "a map")

    def missing() -> Arrays:
        raise _NotKeptError

    try:
        return maps.map_rows(
            [prompt.embeddings for prompt in pool],
            vocabulary,
            method,
            names=[prompt.name for prompt in pool],
            metric=metric,
            seed=seed,
            cached=lambda key, _, fits: workspace.cached_arrays(key, missing, fits),
        )
    except _NotKeptError:
        return None


def _pool(
    sources: Sequence[Source],
    model: str | Path | Vocabulary | None,
    workspace: Workspace | None,
    what: str,
) -> tuple[list[SoftPrompt], Vocabulary]:
    prompts = gather(sources, workspace)
    require_count(prompts, 1, what)
    vocabulary = one_vocabulary(prompts, model)
    return [require_decodable(prompt, vocabulary) for prompt in prompts], vocabulary
