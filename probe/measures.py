"""Every measure of how close two prompts are: its name, what it says and asks, and who computes it.

The functions are named, not imported: a command line lists the names without loading arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

from probe.plugins import Registry

if TYPE_CHECKING:
    from probe.arrays import Float32Array, Float64Array

Needs = Literal["table", "table and length", "length", "tokenizer", "model"]


@dataclass(frozen=True)
class MeasureFacts:
    """What one measure says and asks."""

    meaning: str
    needs: Needs
    """What two prompts must share: the embedding table, the number of positions, or both."""
    higher_is_closer: bool = True
    of_rows: Callable[[Sequence[Float32Array]], Float64Array] | str | None = None
    """Prompts [P, H] → [N, N], as a function or as `module:function`; None where rows are not what
    is compared."""
    least_length: int = 1
    """Fewest positions it is defined for."""
    title: str = ""
    """What people read; the name with spaces when empty."""

    @property
    def function(self) -> Callable[[Sequence[Float32Array]], Float64Array] | None:
        """What compares rows, imported where it is only named."""
        found: Callable[[Sequence[Float32Array]], Float64Array] | None = (
            resolve_name(self.of_rows) if isinstance(self.of_rows, str) else self.of_rows
        )
        return found


Measure = str
"""A name in `MEASURES`."""

_BY_ROWS = {
    "mean_token_cosine": MeasureFacts(
        "cosine of the two mean rows", "table", title="mean-token cosine"
    ),
    "mean_pairwise_cosine": MeasureFacts(
        "mean cosine of every row with every row; with itself it is not 1", "table"
    ),
    "mean_pairwise_inverse_euclidean": MeasureFacts(
        "1 / (1 + mean distance of every row to every row); with itself it is not 1",
        "table",
        title="mean pairwise inverse Euclidean distance",
    ),
    "flattened_cosine": MeasureFacts("cosine of all rows laid end to end", "table and length"),
    "inverse_euclidean": MeasureFacts(
        "1 / (1 + distance of all rows laid end to end)",
        "table and length",
        title="inverse Euclidean distance",
    ),
    "position_cosine": MeasureFacts("mean cosine of the rows at one position", "table and length"),
    "chamfer": MeasureFacts(
        "mean distance of a row to the other prompt's nearest row, mean of both ways",
        "table",
        higher_is_closer=False,
        title="Chamfer distance",
    ),
    "transport": MeasureFacts(
        "least mean distance that moves one prompt's rows onto the other's",
        "table",
        higher_is_closer=False,
        title="transport distance",
    ),
    "cka": MeasureFacts(
        "linear centred kernel alignment of the positions, debiased",
        "length",
        least_length=4,
        title="CKA",
    ),
}
"""Each by the function of its name."""
MEASURES: Registry[MeasureFacts] = Registry(
    "probe.measures",
    MeasureFacts,
    {
        name: replace(facts, of_rows=f"probe.analysis.compare.similarities:{name}")
        for name, facts in _BY_ROWS.items()
    }
    | {
        "jaccard": MeasureFacts(
            "shared part of the decoded token strings", "tokenizer", title="Jaccard overlap"
        ),
        "neuron_overlap": MeasureFacts(
            "cosine of the sets of feed-forward neurons that fire", "model"
        ),
    },
)
"""A distribution adds one by an entry point in the group `probe.measures` that is a
`MeasureFacts` with a function of rows."""


def measure_name(measure: Measure) -> str:
    """A measure as people read it."""
    return MEASURES[measure].title or measure.replace("_", " ")
