"""The rows of a map: names, a search, neighbours in the original space, and what colours them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from dashboard.shared.prompt_pool import Pool
from dashboard.shared.resources import Entry, prompt_of
from probe.analysis.clusters import Cluster, Clusters
from probe.analysis.gains import main_score
from probe.analysis.maps import Map
from probe.analysis.neighbours import Metric, nearest_others
from probe.charts import visible
from probe.requests.train_methods import method_words
from probe.vocabulary import Vocabulary

MOST_FOUND = 200
"""Tokens a search rings."""
_TOKENS, _ROWS = 10, 5


@dataclass(frozen=True)
class Point:
    """A row of a prompt or of the vocabulary."""

    id: str
    """`p:PROMPT:POSITION` (indices) or `v:ID`, as the map's figure carries it."""
    row: int
    """Among the map's prompt rows; −1 for a token."""
    token: int
    """Vocabulary id; −1 for a prompt row."""


def point_of(mapped: Map, id_: str | None) -> Point | None:
    """The point of an id, which may come from an address; None where there is none."""
    kind, *numbers = (id_ or "").split(":")
    if not all(n.isascii() and n.isdigit() and len(n) < 10 for n in numbers):
        return None
    if kind == "v" and len(numbers) == 1 and int(numbers[0]) < len(mapped.vocabulary):
        return Point(f"v:{int(numbers[0])}", -1, int(numbers[0]))
    if kind == "p" and len(numbers) == 2:
        prompt, position = map(int, numbers)
        rows = np.flatnonzero((mapped.owners == prompt) & (mapped.positions == position))
        return Point(f"p:{prompt}:{position}", int(rows[0]), -1) if len(rows) else None
    return None


def row_id(mapped: Map, row: int) -> str:
    """The id of a prompt row."""
    return f"p:{mapped.owners[row]}:{mapped.positions[row]}"


def point_label(mapped: Map, id_: str) -> str:
    """What a point is called."""
    point = point_of(mapped, id_)
    if point is None:
        return id_
    if point.row < 0:
        return f"{mapped.vocabulary.tokens[point.token]}  (token {point.token})"
    name = visible(mapped.prompts[mapped.owners[point.row]])
    return f"{name}, position {mapped.positions[point.row]}"


def tokens_with(vocabulary: Vocabulary, words: str) -> list[int]:
    """Ids of tokens that contain the words in any letter case, the shortest first."""
    wanted = words.strip().casefold().replace(" ", "␣")
    if not wanted:
        return []
    found = [i for i, token in enumerate(vocabulary.tokens) if wanted in token.casefold()]
    return sorted(found, key=lambda i: (len(vocabulary.tokens[i].lstrip("␣")), i))[:MOST_FOUND]


def near_tokens(mapped: Map, point: Point, metric: Metric) -> pd.DataFrame:
    """The tokens nearest to a point in the original space, itself left out."""
    tokens, table = mapped.vocabulary.tokens, mapped.vocabulary.search_table
    near = nearest_others(_vector(mapped, point), table, metric, itself=point.token, k=_TOKENS)
    return pd.DataFrame([(tokens[i], score) for i, score in near], columns=["token", "score"])


def near_rows(mapped: Map, point: Point, metric: Metric) -> tuple[pd.DataFrame, list[int]]:
    """The prompt rows nearest to a point in the original space, itself left out.

    As a table, and as rows of the map.
    """
    vector = _vector(mapped, point)
    near = nearest_others(vector, mapped.rows, metric, itself=point.row, k=_ROWS)
    rows = [(visible(mapped.prompts[mapped.owners[i]]), mapped.positions[i], s) for i, s in near]
    frame = pd.DataFrame(rows, columns=["prompt", "position", "score"])
    return frame, [i for i, _ in near]


def selection_table(mapped: Map, ids: Sequence[str]) -> pd.DataFrame:
    """One row per selected point, prompt rows first, with their nearest tokens."""
    points = [point for id_ in ids if (point := point_of(mapped, id_))]
    rows = [_prompt_cells(mapped, p) for p in points if p.row >= 0]
    place = {int(id_): n for n, id_ in enumerate(mapped.background_ids)}
    rows += [_token_cells(mapped, p, place) for p in points if p.row < 0]
    return pd.DataFrame(rows, columns=["prompt", "position", "token", "id", "x", "y", "nearest"])


def _prompt_cells(mapped: Map, point: Point) -> tuple[object, ...]:
    near = "  ".join(mapped.vocabulary.tokens[i] for i in mapped.neighbours.ids[point.row][:5])
    name = visible(mapped.prompts[mapped.owners[point.row]])
    position = int(mapped.positions[point.row])
    return (name, position, None, None, *map(float, mapped.points[point.row]), near)


def _token_cells(mapped: Map, point: Point, place: dict[int, int]) -> tuple[object, ...]:
    x, y = mapped.background[place[point.token]] if point.token in place else (None, None)
    return None, None, mapped.vocabulary.tokens[point.token], point.token, x, y, None


def _vector(mapped: Map, point: Point) -> np.ndarray:
    if point.row >= 0:
        return cast(np.ndarray, mapped.rows[point.row : point.row + 1])
    return mapped.vocabulary.rows([point.token])


_UNKNOWN = "not known"


@dataclass(frozen=True)
class Groups:
    """A group of each prompt row, and what groups are called."""

    labels: tuple[int, ...]
    """One per row of the map; -1 for rows of no group."""
    names: tuple[tuple[int, str], ...]


def groups_of_clusters(clusters: Clusters) -> Groups:
    """Rows by cluster, which is called by its first tokens."""
    names = tuple((one.label, cluster_name(one)) for one in clusters.clusters)
    return Groups(tuple(int(label) for label in clusters.labels), names)


def groups_of_facts(mapped: Map, pool: Pool, by: str) -> Groups:
    """Rows by a fact of their prompts, one of `FACTS`."""
    values = [FACTS[by](entry) for entry in pool.entries]
    names = sorted(set(values))
    place = {value: number for number, value in enumerate(names)}
    labels = tuple(place[values[owner]] for owner in mapped.owners)
    return Groups(labels, tuple(enumerate(names)))


def cluster_name(cluster: Cluster) -> str:
    """A cluster by its first tokens."""
    return f"{cluster.label}: {' '.join(cluster.tokens[:3])}"


def _start(entry: Entry) -> str:
    """The kind of start that a prompt records, such as `vocab` or `text`."""
    training = prompt_of(entry).config.get("training")
    init = training.get("init") if isinstance(training, dict) else None
    return str(init).partition(":")[0] if init else _UNKNOWN


def _score(entry: Entry) -> str:
    """The fifth of the range from 0 to 1 that a prompt's score lies in."""
    found = main_score(entry.card.metrics)
    if found is None or not 0 <= found[1] <= 1:
        return _UNKNOWN
    low = min(4, int(found[1] * 5)) / 5
    return f"{low:.1f} to {low + 0.2:.1f}"


FACTS: dict[str, Callable[[Entry], str]] = {
    "task": lambda entry: entry.card.task or _UNKNOWN,
    "method": lambda entry: method_words(entry.card.method),
    "start": _start,
    "score": _score,
}
"""What is known of a prompt, in words, by what it is called in the choice of colours."""
