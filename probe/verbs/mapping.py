"""Clusters and maps of prompts in the vocabulary of the model they share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from probe.analysis import clusters as grouping
from probe.analysis import maps
from probe.analysis.clusters import Clusters
from probe.analysis.controls import Arrays, Cached
from probe.analysis.decoding import require_decodable
from probe.analysis.maps import Map
from probe.analysis.starts import changes_since_start
from probe.prompt import SoftPrompt
from probe.requests import ClustersRequest, MapRequest, takes
from probe.store import Library, Workspace
from probe.verbs.checks import require_count
from probe.verbs.decoding import one_vocabulary, taken_for
from probe.vocabulary import Vocabulary


@takes(ClustersRequest)
def clusters(asked: ClustersRequest) -> Clusters:
    """Do the rows of these prompts, or the prompts themselves, fall into groups?

    Raises:
        ProbeError: a prompt or the model cannot be read, or prompts do not share a table.
        ValueError: a bad method, metric or count, or too few items.
    """
    pool, vocabulary = _pool(asked, "a clustering")
    found = grouping.cluster(
        [prompt.embeddings for prompt in pool],
        vocabulary,
        grouping.Grouping(asked.method, asked.items, asked.metric, asked.count, asked.seed),
        names=[prompt.name for prompt in pool],
    )
    return dataclasses.replace(found, notes=taken_for(pool, vocabulary))


@takes(MapRequest)
def map(asked: MapRequest) -> Map:
    """Where do these prompts' rows lie among the vocabulary?

    UMAP and t-SNE layouts are kept in the workspace's cache by content, parameters and version.

    Raises:
        ProbeError: a prompt or the model cannot be read, prompts do not share a table, or what
            changed is asked for and a file does not say what training began from.
        ValueError: a bad method, metric or number.
    """
    pool, vocabulary = _pool(asked, "a map")
    mapped = _laid_out(asked, pool, vocabulary, Workspace(asked.workspace).cached_arrays)
    return dataclasses.replace(mapped, notes=taken_for(pool, vocabulary))


class _NotKeptError(Exception):
    """The cache has no such layout."""


@takes(MapRequest)
def kept_map(asked: MapRequest) -> Map | None:
    """The map if it is there at once: by PCA, or because its layout was kept; None otherwise.

    Raises:
        ProbeError: a prompt or the model cannot be read, or prompts do not share a table.
        ValueError: a bad method, metric or number.
    """
    cached = Workspace(asked.workspace).cached_arrays

    def missing() -> Arrays:
        raise _NotKeptError

    try:
        pool = _pool(asked, "a map")
        return _laid_out(asked, *pool, lambda key, _, fits: cached(key, missing, fits))
    except _NotKeptError:
        return None


def _laid_out(
    asked: MapRequest, pool: Sequence[SoftPrompt], vocabulary: Vocabulary, cached: Cached
) -> Map:
    mapped = maps.map_rows(
        [
            changes_since_start(prompt, vocabulary) if asked.change else prompt.embeddings
            for prompt in pool
        ],
        vocabulary,
        maps.Layout(
            asked.method,
            asked.metric,
            asked.seed,
            asked.background,
            asked.n_neighbors,
            asked.perplexity,
        ),
        names=[prompt.name for prompt in pool],
        cached=cached,
    )
    return dataclasses.replace(mapped, change=asked.change)


def _pool(asked: ClustersRequest | MapRequest, what: str) -> tuple[list[SoftPrompt], Vocabulary]:
    prompts = Library(asked.workspace).trained(asked.prompts)
    require_count(prompts, 1, what)
    vocabulary = one_vocabulary(prompts, asked.model)
    return [require_decodable(prompt, vocabulary) for prompt in prompts], vocabulary
