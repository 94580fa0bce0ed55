"""A decoding as people read it: one row per position, the answer in words below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from probe.analysis.controls import (
    CHANCE_BELOW,
    NEVER_LEFT_ITS_START,
    NOT_BETTER_THAN_CHANCE,
    OFF_THE_MANIFOLD,
    PositionControls,
)
from probe.analysis.decoding import Decoding, Position
from probe.analysis.neighbours import METRIC_NAMES
from probe.cli.output import cell, say, table, visible
from probe.texts import counted

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement
    from rich.text import Text

_SHORT = {
    OFF_THE_MANIFOLD: "out",
    NOT_BETTER_THAN_CHANCE: "chance",
    NEVER_LEFT_ITS_START: "initial token",
}
"""Flags that fit a column; the sentences below the table say them in full."""
_CONTROLS = ("tokens", "Gauss", "iso", "norm", "agree")


def print_decoding(decoding: Decoding) -> None:
    """Print header, table, decoded text and what the controls say."""
    with_controls = decoding.reference is not None
    columns = ("#", "nearest tokens", *((*_CONTROLS, "flags") if with_controls else ()))
    grid = table(*columns, right=("#", *_CONTROLS))
    for position in decoding.positions:
        grid.add_row(*_row(position))
    say(_header(decoding), grid, *_summary(decoding))


def _header(decoding: Decoding) -> str:
    """What was asked, so that the answer can be had again."""
    direction = "higher" if decoding.higher_is_better else "lower"
    parts = [
        f"{decoding.prompt} on {decoding.model}",
        f"{METRIC_NAMES[decoding.metric]} ({direction} is closer)",
        f"k {decoding.k}",
    ]
    if decoding.embedding_factor != 1:
        parts.append(f"table × {decoding.embedding_factor:.4g}")
    if decoding.filters:
        parts.append(f"filters {', '.join(decoding.filters)}")
    if decoding.one_to_one:
        parts.append("one to one")
    if decoding.sample_size:
        parts.append(
            f"controls of {counted(decoding.sample_size, 'random row')} each, seed {decoding.seed}"
        )
    return " · ".join(parts)


def _summary(decoding: Decoding) -> list[str]:
    """The decoded text and what it is worth."""
    lines = [f"text: {decoding.text}", *decoding.headline()]
    if decoding.reference is None:
        return lines
    if decoding.start_sentence is None:
        lines.append("where the positions started is not known")
    return [*lines, "", *_how_to_read()]


def _how_to_read() -> list[str]:
    return [
        "How to read this: percentiles say how many rows of a sample the position's best score "
        "beats.",
        "  tokens: held-out tokens against their nearest other token; below 1, the position is "
        "outside the token distribution (flag: out).",
        "  Gauss: Gaussian control, rows with the vocabulary's mean and covariance at the "
        f"position's norm; up to {CHANCE_BELOW:g}, not better than chance (flag: chance).",
        "  iso: isotropic control, rows of any direction at that norm. norm: among the norms of "
        "the tokens.",
        "  initial token: of all tokens, the one training began from has the highest cosine.",
        "  agree: overlap of the top k under cosine, L2 and dot product, from 0 to 1.",
    ]


def _row(position: Position) -> list[RenderableType]:
    from rich.text import Text

    controls = position.controls
    weak = controls is not None and NOT_BETTER_THAN_CHANCE in controls.flags
    near = [
        Text.assemble(
            (visible(neighbour.token), "dim" if weak else "bold"),
            (f" {_score(neighbour.score)}", "dim"),
        )
        for neighbour in position.neighbours
    ]
    cells: list[RenderableType] = [cell(position.position), _WholePairs(near)]
    return cells + (_control_cells(controls) if controls else [])


class _WholePairs:
    """Tokens with their scores, of which no line's end parts one from the other."""

    def __init__(self, pairs: Sequence[Text]) -> None:
        self._pairs = pairs

    def __rich_measure__(self, _: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        widths = [pair.cell_len for pair in self._pairs]
        return Measurement(max(widths), sum(widths) + 2 * (len(widths) - 1))

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        line = Text()
        for pair in self._pairs:
            if line and line.cell_len + 2 + pair.cell_len > options.max_width:
                yield line
                line = Text()
            line.append("  " if line else "").append_text(pair)
        yield line


def _control_cells(controls: PositionControls) -> list[RenderableType]:
    percentiles = (controls.vocabulary, controls.chance, controls.isotropic)
    shown = [*(f"{p:.1f}" for p in percentiles), f"{controls.norm_percentile:.0f}"]
    flags = cell(", ".join(_SHORT.get(flag, flag) for flag in controls.flags), "yellow")
    return [*map(cell, shown), cell(f"{controls.metric_agreement:.2f}"), flags]


def _score(score: float) -> str:
    return f"{score:.3f}" if abs(score) < 10 else f"{score:.4g}"
