"""Where do prompt rows lie relative to the vocabulary? A picture, and how far to trust it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analysis.layouts import METHODS, METRICS, Layout, MapMetric, Method, lay_out
from probe.analysis.neighbours import Neighbours, nearest_tokens, require_widths
from probe.arrays import Arrays, Cached, Float32Array, IntArray, are_numbers, uncached
from probe.errors import require_choice
from probe.results import Result
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 10
"""Vocabulary neighbours that travel with each prompt row."""
TSNE_BACKGROUND = 4000
"""Vocabulary rows drawn for t-SNE unless another number is asked for: it is slow beyond."""
MAP_VERSION = 1
"""Raised whenever the same rows and parameters start to give another map."""

_LARGEST_IN_L2 = 1e15
"""Sums of squares of larger numbers leave float32."""
_LIBRARY = {"umap": "umap-learn", "tsne": "scikit-learn"}


@dataclass(frozen=True, eq=False)
class Map(Result):
    """Prompt rows and vocabulary rows in two dimensions."""

    method: Method
    metric: MapMetric
    seed: int
    n_neighbors: int | None
    """UMAP's; None for other methods."""
    perplexity: float | None
    """t-SNE's; None for other methods."""
    model: str
    prompts: tuple[str, ...]
    """[N] names."""
    owners: IntArray
    """[n] which prompt each row belongs to."""
    positions: IntArray
    """[n] its position there."""
    points: Float32Array
    """[n, 2] prompt rows on the map."""
    background_ids: IntArray
    """[B] vocabulary ids that were mapped."""
    background: Float32Array
    """[B, 2] vocabulary rows on the map."""
    explained: tuple[float, float] | None
    """Shares of the variance that PCA's axes hold; None for other methods."""
    spectrum: tuple[float, ...]
    """Shares of the first ten principal axes or all there are; empty for other methods."""
    trustworthiness: float
    """0 to 1: are neighbours on the map neighbours in the original space? In a seeded sample."""
    trust_sample: int
    """Rows in that sample."""
    rows: Float32Array = field(repr=False)
    """[n, H] the prompt rows themselves."""
    vocabulary: Vocabulary = field(repr=False)
    notes: tuple[str, ...] = ()
    """What makes the map doubtful, such as rows of another model."""
    change: bool = False
    """Whether rows are what training changed, each minus its initial token."""

    @cached_property
    def neighbours(self) -> Neighbours:
        """The 10 vocabulary tokens nearest to each prompt row in the original space, [n, 10].

        Found when first asked for; the map itself does not need them.
        """
        return nearest_tokens(self.rows, self.vocabulary, self.metric, k=NEIGHBOURS)

    def _document(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "metric": self.metric,
            "seed": self.seed,
            "n_neighbors": self.n_neighbors,
            "perplexity": self.perplexity,
            "model": self.model,
            "change": self.change,
            "prompts": self.prompts,
            "background": len(self.background),
            "explained_variance": self.explained,
            "trustworthiness": self.trustworthiness,
            "trustworthiness_sample": self.trust_sample,
            "points": [self._point(row) for row in range(len(self.points))],
            "notes": self.notes,
        }

    def _point(self, row: int) -> dict[str, Any]:
        near = self.neighbours
        return {
            "prompt": int(self.owners[row]),
            "position": int(self.positions[row]),
            "x": float(self.points[row, 0]),
            "y": float(self.points[row, 1]),
            "neighbours": [
                {"id": int(i), "token": self.vocabulary.tokens[i], "score": float(score)}
                for i, score in zip(near.ids[row], near.scores[row], strict=True)
            ],
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per mapped row, prompts first; vocabulary rows have an id and a token."""
        import pandas as pd

        prompts = pd.DataFrame(
            {"prompt": [self.prompts[i] for i in self.owners], "position": self.positions}
        )
        tokens = [self.vocabulary.tokens[i] for i in self.background_ids]
        vocabulary = pd.DataFrame({"id": self.background_ids, "token": tokens})
        frame = pd.concat([prompts, vocabulary], ignore_index=True)
        frame[["x", "y"]] = np.concatenate([self.points, self.background])
        return frame.astype({"position": "Int64", "id": "Int64"})


def map_rows(
    prompts: Sequence[Float32Array],
    vocabulary: Vocabulary,
    layout: Layout,
    *,
    names: Sequence[str],
    cached: Cached = uncached,
) -> Map:
    """Lay prompt rows and vocabulary rows out together.

    Under `cosine` PCA takes rows of unit length, and UMAP and t-SNE cosine distances, so that norms
    play no part; under `l2` all take rows as they are. Sources: McInnes et al. 2018, "UMAP"; van
    der Maaten & Hinton 2008, "Visualizing Data using t-SNE".

    Args:
        prompts: N arrays [P, H].
        vocabulary: table [V, H].
        layout: by which method.
        names: [N].
        cached: keeps UMAP and t-SNE layouts between calls.

    Raises:
        ValueError: a bad method, metric or number, or widths that differ.
    """
    _check(prompts, vocabulary, layout)
    rows = np.concatenate(prompts)
    ids = _background_ids(len(vocabulary), layout)
    whole = len(ids) == len(vocabulary)
    table = vocabulary.rows(slice(None) if whole else ids)

    def compute() -> Arrays:
        return lay_out(rows, table, layout)

    def fits(arrays: Arrays) -> bool:
        places = (len(rows) + len(ids), 2)
        shapes = {"places": places, "explained": (0,), "trustworthiness": (), "trust_sample": ()}
        return are_numbers(arrays, shapes)

    if layout.method == "pca":
        found = compute()
    else:
        found = cached(_key(rows, vocabulary, layout, len(ids)), compute, fits)
    places = np.asarray(found["places"], dtype=np.float32)
    shares = [float(share) for share in found["explained"]]
    lengths = [len(prompt) for prompt in prompts]
    return Map(
        method=layout.method,
        metric=layout.metric,
        seed=layout.seed,
        n_neighbors=layout.n_neighbors if layout.method == "umap" else None,
        perplexity=layout.perplexity if layout.method == "tsne" else None,
        model=vocabulary.name,
        prompts=tuple(names),
        owners=np.repeat(np.arange(len(prompts)), lengths),
        positions=np.concatenate([np.arange(length) for length in lengths]),
        points=places[: len(rows)],
        background_ids=ids,
        background=places[len(rows) :],
        explained=(shares[0], shares[1]) if shares else None,
        spectrum=tuple(shares),
        trustworthiness=float(found["trustworthiness"][()]),
        trust_sample=int(found["trust_sample"][()]),
        rows=rows,
        vocabulary=vocabulary,
    )


def _background_ids(size: int, layout: Layout) -> IntArray:
    wanted = layout.background
    if wanted is None:
        wanted = TSNE_BACKGROUND if layout.method == "tsne" else size
    if wanted >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(layout.seed).choice(size, wanted, replace=False))


def _key(rows: Float32Array, vocabulary: Vocabulary, layout: Layout, background: int) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()
    library = f"{_LIBRARY[layout.method]}-{version(_LIBRARY[layout.method])}"
    parts = (MAP_VERSION, library, vocabulary.fingerprint, rows.shape, digest)
    near = f"{layout.perplexity:g}" if layout.method == "tsne" else layout.n_neighbors
    return "-".join(map(str, ("map", *parts, layout.metric, layout.seed, near, background)))


def _check(prompts: Sequence[Float32Array], vocabulary: Vocabulary, layout: Layout) -> None:
    require_choice("method", layout.method, METHODS)
    if layout.metric not in METRICS:
        raise ValueError(f"metric must be cosine or l2 for a map, found {layout.metric!r}")
    near = min(layout.n_neighbors, layout.perplexity)
    if near < 2 or (layout.background is not None and layout.background < 10):
        raise ValueError(
            f"a map needs 2 neighbours and 10 background rows or more, found {near:g} and "
            f"{layout.background}"
        )
    require_widths(prompts, vocabulary)
    if vocabulary.width < 2:
        raise ValueError("a map needs rows of two numbers or more, found a table of width 1")
    largest = max(float(np.abs(rows).max()) for rows in prompts)
    if layout.metric == "l2" and largest > _LARGEST_IN_L2:
        raise ValueError(
            f"an L2 map needs numbers up to {_LARGEST_IN_L2:g}, found {largest:.3g}: choose cosine"
        )
