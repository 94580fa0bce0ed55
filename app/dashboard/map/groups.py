"""What the rows of a map are coloured by: clusters, or what is known of their prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.shared.prompt_pool import Pool
from dashboard.shared.resources import Entry, prompt_of
from probe.analysis.clusters import Cluster, Clusters
from probe.analysis.gains import main_score
from probe.analysis.maps import Map

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
    "method": lambda entry: entry.card.method.replace("_", " "),
    "start": _start,
    "score": _score,
}
"""What is known of a prompt, in words, by what it is called in the choice of colours."""
