"""A table that fits its terminal: words stay whole, and columns that can be spared go first."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_BETWEEN = 3
"""Blanks between two columns; two more stand at the ends."""
_COMFORT = 16
"""Characters that a column of texts shall have before others are kept beside it."""


class FittedTable(Table):
    """Cells wrap between words; columns of numbers, and those said to be whole, do not."""

    def __init__(self, *, spare: Sequence[str] = ()) -> None:
        super().__init__(box=box.SIMPLE_HEAD, pad_edge=False)
        self._spare = tuple(spare)
        """Headers of the columns that are left out where all do not fit, the first one first."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table at the terminal's width, and which columns that left out."""
        kept, left = list(self.columns), []
        for name in self._spare:
            needs = [_need(column, console, options) for column in kept]
            if not _excess(needs, options, least=_COMFORT):
                break
            left += [name] if name in [one.header for one in kept] else []
            kept = [one for one in kept if one.header != name]
        yield from Table.__rich_console__(self._of(kept, console, options), console, options)
        if left:
            names = ", ".join(left)
            yield Text(f"Left out for width: {names}. A wider terminal or --json has them.")

    def _of(self, columns: Sequence[Column], console: Console, options: ConsoleOptions) -> Table:
        """A table of some of the columns, each as wide as there is room for."""
        made = Table(box=self.box, pad_edge=False, show_header=self.show_header)
        needs = [_need(column, console, options) for column in columns]
        fits = not _excess(needs, options)  # else rich breaks words: nothing is lost
        widths = _shared(needs, _room(needs, options)) if fits else [None] * len(needs)
        for column, width in zip(columns, widths, strict=True):
            made.add_column(column.header, justify=column.justify, overflow="fold", width=width)
        for row in zip(*(column.cells for column in columns), strict=True):
            made.add_row(*row)
        return made


def _room(needs: Sequence[Measurement], options: ConsoleOptions) -> int:
    """Characters for the cells of all columns."""
    return options.max_width - 2 - _BETWEEN * (len(needs) - 1)


def _excess(needs: Sequence[Measurement], options: ConsoleOptions, *, least: int = 0) -> bool:
    """Whether columns, `least` wide where they can use it, cannot stand beside each other whole."""
    wanted = sum(max(need.minimum, min(least, need.maximum)) for need in needs)
    return wanted > _room(needs, options)


def _need(column: Column, console: Console, options: ConsoleOptions) -> Measurement:
    """The narrowest and the widest that a column can use."""
    parts = [Measurement.get(console, options, cell) for cell in column.cells]
    header = Measurement.get(console, options, column.header)
    most = max([header.maximum, *(part.maximum for part in parts)])
    whole = column.justify == "right" or column.no_wrap
    least = [part.maximum if whole else part.minimum for part in parts]
    return Measurement(max([header.minimum, *least]), most)


def _shared(needs: Sequence[Measurement], room: int) -> list[int | None]:
    """Widths of the columns: names before all, then the rest to whoever lacks most."""
    widths = [need.minimum for need in needs]
    spare = min(room - sum(widths), room // 2 - widths[0], needs[0].maximum - widths[0])
    widths[0] += max(0, spare)
    for _ in range(room - sum(widths)):
        lacking = [need.maximum - width for need, width in zip(needs, widths, strict=True)]
        if max(lacking) <= 0:
            break
        widths[lacking.index(max(lacking))] += 1
    return list(widths)
