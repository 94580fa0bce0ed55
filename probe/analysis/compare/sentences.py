"""What a comparison is worth, in the same sentences on the page, in the terminal and in reports."""

from __future__ import annotations

import numpy as np

from probe.analysis.compare.comparison import Comparison
from probe.analysis.compare.pairs import PositionView
from probe.analysis.compare.separation import Separation
from probe.analysis.starts import UNKNOWN, start_words


def pair_words(comparison: Comparison, i: int, j: int, *, short: bool = False) -> str:
    """How many positions of a pair began from the same token; empty where rows were not known.

    Args:
        comparison: of prompts.
        i: one of them.
        j: another.
        short: as a table's cell has it whose column says what is counted.
    """
    if not comparison.lengths:
        return ""
    of = min(comparison.lengths[i], comparison.lengths[j])
    shared = int(comparison.shared_starts[i, j])
    if short:
        return "not recorded" if shared == UNKNOWN else f"{shared} of {of}"
    return start_words(shared, of)


def separation_sentence(comparison: Comparison, *, strong: str = "") -> str:
    """How often pairs of one task are closer, also without those that share a start.

    Empty where tasks are unknown or all pairs are of one kind.

    Args:
        comparison: of prompts.
        strong: stands around the shares, as `**` in Markdown.
    """
    every = comparison.separation()
    if every is None:
        return ""
    words = (
        "A pair of prompts for one task is closer than a pair for two in "
        f"{_percent(every, strong)} of cases ({_counts(every)}; 50 % is guessing)"
    )
    if not (comparison.shared_starts[np.triu_indices(len(comparison.prompts), 1)] > 0).any():
        return f"{words}; no pair is known to share a start."
    apart = comparison.separation(without_shared_start=True)
    if apart is None:
        return (
            f"{words}. Without pairs that share a start, one kind of pair is left, so nobody can "
            "say how much of this is the start."
        )
    unknown = f"; of {apart.unknown:,} of them the start is not recorded" if apart.unknown else ""
    return (
        f"{words}, and among pairs without a shared start in {_percent(apart, strong)} "
        f"({_counts(apart)}{unknown})."
    )


def _percent(found: Separation, strong: str) -> str:
    return f"{strong}{100 * found.area:.0f} %{strong}"


def _counts(found: Separation) -> str:
    return f"{found.same:,} {'pair' if found.same == 1 else 'pairs'} against {found.other:,}"


def positions_sentence(view: PositionView, *, strong: str = "") -> str:
    """What a diagonal in a position view would mean, given where the rows began."""

    def number(value: float) -> str:
        return f"{strong}{value:.3f}{strong}".replace("-", "−")

    words = (
        f"Equal positions have a mean cosine of {number(view.matched.mean())}, all pairs of "
        f"positions {number(view.cosines.mean())}."
    )
    if view.shared is None:
        return (
            f"{words} Whether positions share a start is not recorded, so a diagonal may be no "
            "more than that."
        )
    same = np.diag(view.shared)
    if not same.any():
        return (
            f"{words} None of {len(same)} began from the same token, so a diagonal would come from "
            "training."
        )
    told = f"{words} {same.sum()} of {len(same)} began from the same token"
    told += f" (mean cosine {number(view.matched[same].mean())}"
    if not same.all():
        told += f", the others {number(view.matched[~same].mean())}"
    return f"{told}): {_CHANGED_ALIKE if view.change else _BEGUN_ALIKE}"


_BEGUN_ALIKE = (
    "a diagonal there may come from the start; change since start takes the start itself out."
)
_CHANGED_ALIKE = (
    "rows that begin alike may be moved alike, so even of changes a diagonal there says little."
)
