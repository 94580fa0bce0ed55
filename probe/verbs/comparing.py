"""Prompts together: how close they are, and where their rows lie and gather."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from probe.analysis import clusters as grouping
from probe.analysis.clusters import Clusters
from probe.analysis.compare import (
    Comparison,
    changes_since_start,
    comparable,
    compare_activations,
    compare_rows,
    compare_tokens,
    recorded_starts,
    require_measure,
    shared_starts,
)
from probe.analysis.compare.pairs import token_strings
from probe.analysis.decoding import require_decodable
from probe.analysis.layouts import Layout
from probe.analysis.maps import Map, map_rows
from probe.analysis.neighbours import nearest_tokens
from probe.arrays import Arrays, Cached
from probe.errors import ModelNotFoundError, NotComparableError
from probe.live import IN_MEMORY
from probe.measures import MeasureFacts
from probe.prompt import AnyPrompt, SoftPrompt
from probe.requests import ClustersRequest, CompareRequest, MapRequest, takes
from probe.store import Library, Workspace
from probe.task import Example
from probe.verbs.checks import base_of, named_model, require_count
from probe.verbs.decoding import one_vocabulary, taken_for, vocabulary_of, with_start
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    from probe.requests.sources import ModelName, TableSource


@takes(CompareRequest)
def compare(asked: CompareRequest) -> Comparison:
    """How close is every prompt to every other?

    Raises:
        NotComparableError: the measure is not defined for two of the prompts, or there is only one;
            or what changed is asked for, and a file does not say what training began from.
        ProbeError: a prompt or a model cannot be read.
        ValueError: a bad measure, metric, k or group of layers, or a measure that has no centre.
    """
    measure, model = asked.measure, asked.model
    needs = _facts(asked).needs
    pool = Library(asked.workspace).trained(asked.prompts)
    require_count(pool, 2, "a comparison")
    names = [prompt.name for prompt in pool]
    if needs == "tokenizer":
        found = compare_tokens(_decoded(pool, asked), names=names)
    elif needs == "model":
        fired = _activations(pool, model)
        found = compare_activations(fired, names=names, layers=asked.layer_group)
    else:
        centre, change = asked.centre, asked.change
        soft = comparable(pool, measure, centre=centre, same_model=model is not None)
        if change:
            pool, rows = _since_start(soft, model)
        else:
            rows = [one.embeddings for one in soft]
        found = compare_rows(rows, measure, names=names, centre=centre, change=change)
    return replace(
        found,
        lengths=tuple(len(prompt) for prompt in pool),
        tasks=tuple(prompt.task for prompt in pool),
        starts=shared_starts(recorded_starts(pool)),
        notes=() if model is None else taken_for(pool, model),
    )


def _facts(asked: CompareRequest) -> MeasureFacts:
    """What is known of the measure; nothing is taken from rows that it does not look at."""
    facts = require_measure(asked.measure)
    why = f"{asked.measure} does not compare rows, so"
    if asked.centre and facts.of_rows is None:
        raise ValueError(f"{why} there is nothing to centre")
    if asked.change and facts.of_rows is None:
        raise ValueError(f"{why} none can be taken from their start")
    return facts


def _runnable(model: TableSource) -> ModelName:
    """What a model is loaded by; of a table read from disk its name."""
    if isinstance(model, Vocabulary) and not model.name.endswith(IN_MEMORY):
        return model.name
    return named_model(model) or ""


def _since_start(
    prompts: Sequence[SoftPrompt], model: TableSource | None
) -> tuple[list[AnyPrompt], list[np.typing.NDArray[np.float32]]]:
    """The prompts with their starts, and what training changed since; each table is read once."""
    tables: dict[object, Vocabulary] = {}
    started: list[AnyPrompt] = []
    found = []
    for prompt in prompts:
        key = (base_of(prompt), prompt.revision, prompt.submodule)
        if key not in tables:
            tables[key] = vocabulary_of(prompt, model)
        one = with_start(prompt, tables[key])
        started.append(one)
        found.append(changes_since_start(one, tables[key]))
    return started, found


def _decoded(prompts: Sequence[AnyPrompt], asked: CompareRequest) -> list[frozenset[str]]:
    """The token strings near each prompt; prompts of one table are looked up together."""
    together: dict[object, list[int]] = {}
    for number, prompt in enumerate(prompts):
        key = (base_of(prompt), prompt.revision, prompt.submodule)
        together.setdefault(key, []).append(number)
    decoded: dict[int, frozenset[str]] = {}
    for members in together.values():
        vocabulary = vocabulary_of(prompts[members[0]], asked.model)
        rows = [require_decodable(prompts[number], vocabulary).embeddings for number in members]
        near = nearest_tokens(np.concatenate(rows), vocabulary, asked.metric, k=asked.k).ids
        ends = np.cumsum([len(part) for part in rows])[:-1]
        for number, own in zip(members, np.split(near, ends), strict=True):
            decoded[number] = token_strings(own, vocabulary)
    return [decoded[number] for number in range(len(prompts))]


def _activations(
    prompts: Sequence[AnyPrompt], model: TableSource | None
) -> np.typing.NDArray[np.float32]:
    """[N, L, F] at the first position after each prompt, with an empty input."""
    from probe.models import InjectionError, load_model, tracer

    name, revision = _shared_model(prompts) if model is None else (_runnable(model), None)
    trace = tracer(load_model(name, revision=revision))
    found = []
    for prompt in prompts:
        try:
            found.append(trace(prompt, [Example("")]).activations[:, 0])
        except InjectionError as error:
            raise NotComparableError(f"{prompt.name} cannot be run: {error}") from error
    return np.stack(found)


def _shared_model(prompts: Sequence[AnyPrompt]) -> tuple[ModelName, str | None]:
    """The model of all prompts and its revision, where one of them tells."""
    first = prompts[0]
    for prompt in prompts:
        if (own := base_of(prompt)) is None:
            raise ModelNotFoundError(
                f"{prompt.name} does not say which model it was trained on: name it with --model "
                "(model= in Python)"
            )
        if own != base_of(first):
            raise NotComparableError(
                f"neuron_overlap needs one model: {first.name} was trained on {base_of(first)}, "
                f"{prompt.name} on {own}"
            )
    revisions = {prompt.revision: prompt.name for prompt in prompts if prompt.revision is not None}
    if len(revisions) > 1:
        told = ", ".join(f"{name} on {revision}" for revision, name in revisions.items())
        raise NotComparableError(
            f"neuron_overlap needs one revision of {base_of(first)}, found {told}: name the model "
            "with --model (model= in Python) if they are alike"
        )
    return base_of(first) or "", next(iter(revisions), None)


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
    mapped = map_rows(
        [
            changes_since_start(prompt, vocabulary) if asked.change else prompt.embeddings
            for prompt in pool
        ],
        vocabulary,
        Layout(
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
    started = [with_start(prompt, vocabulary) for prompt in prompts]
    return [require_decodable(prompt, vocabulary) for prompt in started], vocabulary
