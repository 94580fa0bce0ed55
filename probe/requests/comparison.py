"""What is asked about several prompts together."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from probe.requests.base import Option, RequestError
from probe.requests.shared import InFolder, InVocabulary, Nearest, OfModel, OfPrompts
from probe.requests.sources import LayerRange, Named, Place, TableSource

LayoutMethod = Literal["pca", "umap", "tsne"]
ClusterMethod = Literal["kmeans", "hdbscan", "agglomerative"]
_LAYERS = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class InTable(InVocabulary):
    """In which embedding table."""

    model: Annotated[TableSource | None, Option(complete="model")] = None
    """Base model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. Default: the
    prompt's own."""


@dataclass(frozen=True)
class CompareRequest(OfPrompts, Nearest, InTable):
    """Say how close every prompt is to every other.

    A source may hold several prompts; all that were trained take part.
    """

    measure: Annotated[str, Option(complete="measure", metavar="MEASURE")] = "mean_token_cosine"
    """What close means: mean_token_cosine, mean_pairwise_cosine, mean_pairwise_inverse_euclidean,
    flattened_cosine, inverse_euclidean, position_cosine, chamfer, transport, cka, jaccard or
    neuron_overlap."""
    _: KW_ONLY
    centre: bool = False
    """Subtract the mean row of all prompts first."""
    change: bool = False
    """Compare what training changed: each row minus its initial token, where files say what that
    was."""
    k: Annotated[int, Option(flag="-k --k", minimum=1)] = 5
    """Tokens per position (jaccard)."""
    layers: LayerRange | None = None
    """One layer or a group, as 0-2 (neuron_overlap). Default: all."""

    @property
    def layer_group(self) -> slice:
        """The layers that are looked at."""
        if self.layers is None:
            return slice(None)
        if isinstance(self.layers, slice):
            return self.layers
        found = _LAYERS.fullmatch(self.layers)
        if found is None:
            raise RequestError(
                f"layers must be one layer or FIRST-LAST, as 0-2, found {self.layers!r}", "layers"
            )
        return slice(int(found[1]), int(found[2] or found[1]) + 1)

    def check(self) -> None:
        """Check the group of layers.

        Raises:
            RequestError: it is neither a layer nor a group.
        """
        _ = self.layer_group


@dataclass(frozen=True)
class ClustersRequest(OfPrompts, InTable):
    """Group prompt rows, or prompts, and name each group by its nearest tokens.

    A source may hold several prompts; all that were trained take part.
    """

    method: ClusterMethod = "kmeans"
    """hdbscan finds the number of clusters itself."""
    _: KW_ONLY
    items: Literal["rows", "prompts"] = "rows"
    """Cluster the rows of all prompts, or whole prompts."""
    metric: Literal["cosine", "l2"] = "cosine"
    """cosine looks at directions, l2 at places."""
    count: Annotated[int | None, Option(minimum=2)] = None
    """Clusters. Default: the number of best silhouette."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of k-means and controls."""


@dataclass(frozen=True)
class MapRequest(OfPrompts, InTable):
    """Lay prompt rows out among the vocabulary, with their neighbours in the original space.

    A source may hold several prompts; all that were trained take part.
    """

    method: LayoutMethod = "pca"
    """pca is there at once, umap and tsne take a minute or more."""
    _: KW_ONLY
    metric: Literal["cosine", "l2"] = "cosine"
    """cosine looks at directions, l2 at places."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of layout and samples."""
    background: Annotated[int | None, Option(minimum=10)] = None
    """Vocabulary rows, drawn at random. Default: all; tsne 4000."""
    n_neighbors: Annotated[int, Option(minimum=2)] = 15
    """Neighbours that umap keeps together, as umap-learn calls it."""
    perplexity: Annotated[float, Option(minimum=2)] = 15.0
    """About how many neighbours tsne keeps together, as scikit-learn calls it."""
    change: bool = False
    """Map what training changed: each row minus its initial token, where files say what that
    was."""


@dataclass(frozen=True)
class ReportRequest(OfPrompts, InFolder, OfModel, Nearest):
    """Write all about some prompts into one HTML file that opens anywhere and prints.

    A source may hold several prompts; all that were trained take part. Nothing is overwritten.
    """

    output: Annotated[Place, Option(flag="--output -o", metavar="FILE")]
    """A new HTML file."""
    _: KW_ONLY
    task: Annotated[Named | None, Option(complete="task")] = None
    """Also measure faithfulness on it, which loads the model. A task's name, its task.toml or the
    folder of one."""
    limit: Annotated[int | None, Option(minimum=1)] = None
    """At most so many test examples, always the same ones."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of controls, maps and intervals."""
