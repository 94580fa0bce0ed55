"""One measure between every two of N prompts, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analysis.compare import pairs, similarities
from probe.analysis.compare.separation import Separation, separation
from probe.arrays import Float32Array, Float64Array, FloatArray, IntArray
from probe.errors import NotComparableError, require_choice, words_of
from probe.measures import MEASURES, Measure, MeasureFacts
from probe.results import Result

if TYPE_CHECKING:
    from collections.abc import Set

    import pandas as pd

NEAREST = 100
"""Most pairs that a comparison names as its nearest."""


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """How close every prompt is to every other under one measure."""

    measure: Measure
    centre: bool
    """Whether the mean row of all prompts was subtracted first."""
    prompts: tuple[str, ...]
    """[N] names."""
    matrix: Float64Array
    """[N, N], symmetric; the diagonal is each prompt with itself."""
    lengths: tuple[int, ...] = field(default=())
    """[N] positions of each prompt; empty where they are not known."""
    change: bool = False
    """Whether rows were compared by what changed since their start."""
    tasks: tuple[str | None, ...] = ()
    """[N] what each was trained for, where that is known."""
    starts: IntArray | None = None
    """[N, N] positions that began from the same token, −1 where unknown; None: nothing known."""
    notes: tuple[str, ...] = ()
    """What makes the comparison doubtful, such as prompts of another model than was named."""

    @property
    def higher_is_closer(self) -> bool:
        """Whether a larger value means closer."""
        return MEASURES[self.measure].higher_is_closer

    @property
    def shared_starts(self) -> IntArray:
        """[N, N] at how many positions two prompts began from the same token; −1 where unknown."""
        if self.starts is not None:
            return self.starts
        return np.full(self.matrix.shape, -1, dtype=np.int64)

    @cached_property
    def nearest(self) -> tuple[tuple[int, int, float], ...]:
        """Pairs (i, j, value), i < j, closest first; at most 100."""
        i, j = np.triu_indices(len(self.prompts), 1)
        values = self.matrix[i, j]
        order = np.argsort(-values if self.higher_is_closer else values, kind="stable")[:NEAREST]
        return tuple((int(i[n]), int(j[n]), float(values[n])) for n in order)

    def separation(self, *, without_shared_start: bool = False) -> Separation | None:
        """How well the measure tells pairs of one task from pairs of two; None where none tell."""
        closeness = self.matrix if self.higher_is_closer else -self.matrix
        without = without_shared_start
        return separation(closeness, self.tasks, self.shared_starts, without_shared_start=without)

    def _document(self) -> dict[str, Any]:
        apart = [self.separation(without_shared_start=without) for without in (False, True)]
        shared: list[list[int]] = self.shared_starts.tolist()
        return {
            "measure": self.measure,
            "centre": self.centre,
            "change": self.change,
            "higher_is_closer": self.higher_is_closer,
            "prompts": self.prompts,
            "matrix": self.matrix,
            "nearest": self.nearest,
            "separation": dict(zip(("all", "without_shared_start"), apart, strict=True)),
            "shared_starts": [[None if n < 0 else n for n in row] for row in shared],
            "notes": self.notes,
        }

    def to_frame(self) -> pd.DataFrame:
        """The matrix with names on both sides."""
        import pandas as pd

        return pd.DataFrame(self.matrix, index=list(self.prompts), columns=list(self.prompts))


def compare_rows(
    prompts: Sequence[Float32Array],
    measure: Measure = "mean_token_cosine",
    *,
    names: Sequence[str],
    centre: bool = False,
    change: bool = False,
) -> Comparison:
    """Compare prompts by their rows; see `MEASURES` for what each measure is.

    Args:
        prompts: N arrays [P, H]; whether they share table and length is for `comparable` to say.
        measure: any that compares rows.
        names: [N].
        centre: subtract the mean of all rows of all prompts first.
        change: the rows given are what changed since the start, see `changes_since_start`.

    Raises:
        ValueError: the measure is unknown or does not compare rows, or fewer than two prompts.
        NotComparableError: a measure that a distribution added fails on them.
    """
    require_rows(measure)
    _check_count(len(prompts), names)
    if centre:
        mean = np.concatenate(prompts).mean(axis=0, dtype=np.float64)
        prompts = [rows.astype(np.float64) - mean for rows in prompts]
    lengths = tuple(len(rows) for rows in prompts)
    matrix = _matrix(measure, prompts)
    matrix = (matrix + matrix.T) / 2  # products may round otherwise on the two sides
    return Comparison(measure, centre, tuple(names), matrix, lengths, change)


def compare_tokens(decoded: Sequence[Set[str]], *, names: Sequence[str]) -> Comparison:
    """Compare prompts by the sets of strings nearest to their rows, see `token_strings`.

    Raises:
        ValueError: fewer than two prompts.
    """
    _check_count(len(decoded), names)
    return Comparison("jaccard", False, tuple(names), pairs.jaccard(decoded))


def compare_activations(
    activations: FloatArray, *, names: Sequence[str], layers: slice = slice(None)
) -> Comparison:
    """Compare prompts by the neurons that fire behind them.

    Args:
        activations: [N, L, F] feed-forward activations at the first position after each prompt,
            with nothing else to read.
        names: [N].
        layers: the group of layers to look at.

    Raises:
        ValueError: fewer than two prompts, or no layer.
    """
    _check_count(len(activations), names)
    matrix = similarities.neuron_overlap(activations[:, layers])
    return Comparison("neuron_overlap", False, tuple(names), matrix)


def require_measure(measure: str) -> MeasureFacts:
    """What is known of a measure.

    Raises:
        ValueError: there is none of that name.
    """
    require_choice("measure", measure, MEASURES)
    return MEASURES[measure]


def require_rows(measure: str) -> None:
    """Refuse a measure that does not compare rows.

    Raises:
        ValueError: it does not, or there is none of that name.
    """
    if require_measure(measure).of_rows is None:
        raise ValueError(f"{measure} does not compare rows")


def _matrix(measure: str, prompts: Sequence[Float32Array]) -> Float64Array:
    """[N, N], by a function that may be another's."""
    compute = MEASURES[measure].function
    assert compute is not None  # compare_rows has asked
    if measure in MEASURES.builtin:
        return compute(prompts)
    try:
        found = np.asarray(compute(prompts), dtype=np.float64)
    except Exception as error:  # code of others may raise anything
        raise NotComparableError(
            f"{measure}, which an installed distribution adds, failed ({type(error).__name__}: "
            f"{words_of(error)}): use another measure, or mend it"
        ) from error
    if found.shape != (len(prompts), len(prompts)) or not np.isfinite(found).all():
        raise NotComparableError(
            f"{measure}, which an installed distribution adds, gave numbers {found.shape}: "
            f"expected {len(prompts)} × {len(prompts)} finite ones; use another measure, or mend it"
        )
    return found


def _check_count(count: int, names: Sequence[str]) -> None:
    if count != len(names):
        raise ValueError(f"expected a name for each of {count} prompts, found {len(names)}")
    if count < 2:
        raise ValueError(f"a comparison needs two prompts or more, found {count}")
