"""How commands print and say how far they are, and the files they write beside their answer."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from probe.atomic import require_new, write_new
from probe.errors import in_one_line
from probe.texts import visible as visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from probe.results import Result


R = TypeVar("R", bound="Result")
_PIPE_WIDTH = 120
_MOVING_S = 0.5


def show(result: R, write: Callable[[R], None], *, json: bool) -> None:
    """What a verb found, as one JSON document or as `write` has people read it."""
    if json:
        print_json(result.to_json())
    else:
        write(result)


def print_json(document: object) -> None:
    """One JSON document on stdout, plain ASCII."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def complain(message: str) -> None:
    """One line on stderr, that says what failed or should be known."""
    sys.stderr.write(f"probe: {visible(message)}\n")


def tell_queue(before: Sequence[str]) -> None:
    """What works first, where anything does."""
    if before:
        complain(f"queued behind {', '.join(before)}")


def one_line(error: BaseException) -> str:
    """What went wrong, and what to do about it."""
    memory = (
        "end other programs, raise the limit (ulimit -v), or ask for less at once: fewer prompts "
        "or texts, a smaller model"
    )
    return in_one_line(error, memory=memory, more="PROBE_TRACEBACK=1 shows where")


def command_line() -> tuple[str, ...]:
    """The command as typed, with the program's plain name."""
    return "probe", *sys.argv[1:]


def console() -> Console:
    """A console on stdout; colours only on a terminal, and never when NO_COLOR is set."""
    from rich.console import Console

    sized = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if sized else _PIPE_WIDTH, highlight=False, markup=False, emoji=False)


def say(*parts: str | RenderableType) -> None:
    """Print sentences, each on a line that no terminal breaks, and tables between them."""
    out = console()
    for part in parts:
        if isinstance(part, str):
            out.print(visible(part), soft_wrap=True)
        else:
            out.print(part)


def headline(result: Result) -> str:
    """What was found, in the words that pages and files have for it."""
    return " ".join(result.headline())


def table(
    *columns: str,
    right: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
    spare: tuple[str, ...] = (),
) -> Table:
    """An empty table whose cells wrap between words and lose nothing.

    Args:
        columns: headers.
        right: columns of numbers.
        whole: columns whose cells are not wrapped as long as others can be spared.
        spare: columns that are left out where the terminal is too narrow, the first one first.
    """
    from probe.cli.fitting import FittedTable

    grid = FittedTable(spare=spare)
    for column in columns:
        justify: Any = "right" if column in right else "left"
        grid.add_column(column, overflow="fold", justify=justify, no_wrap=column in whole)
    return grid


def facts_table(rows: Mapping[str, object]) -> Table:
    """Names and values, a pair per line."""
    grid = table("", "")
    grid.show_header = False
    for pair in rows.items():
        grid.add_row(*map(cell, pair))
    return grid


def rounded(value: object) -> str:
    """A score with three digits; `–` where there is none."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.3f}" if number else "–"


def cell(text: object, style: str = "") -> RenderableType:
    """Anything as literal text: `[red]` stays `[red]`, an escape sequence shows as one."""
    from rich.text import Text

    return Text(visible(str(text)), style=style)


def new_place(path: Path | None) -> Path | None:
    """Where a file is to be written, checked before any work: nothing is overwritten.

    Raises:
        ProbeError: something is there.
    """
    return None if path is None else require_new(path)


def write_figures(title: str, result: Result, path: Path) -> None:
    """Headline and figures of a result as a page that needs no network."""
    from probe.reports.figures import result_html

    write_new(path, result_html(title, result))


class Line:
    """Shows how far something is.

    Args:
        every_s: seconds between two lines in a pipe or a log.
    """

    def __init__(self, every_s: float = 10.0) -> None:
        self.moves = sys.stderr.isatty()
        self._every_s = _MOVING_S if self.moves else every_s
        self._shown_s = float("-inf")
        self._width = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def show(self, text: str, *, now: bool = False) -> None:
        """Show it, if it is news that cannot wait, or time has passed."""
        now_s = time.monotonic()
        if not now and now_s - self._shown_s < self._every_s:
            return
        self._shown_s = now_s
        if self.moves:
            text = visible(text)[: shutil.get_terminal_size().columns - 1]  # or it would not move
            sys.stderr.write("\r" + text.ljust(self._width))
            self._width = len(text)
            sys.stderr.flush()
        else:
            self.tell(f"probe: {text}")

    def tell(self, text: str) -> None:
        """Say a line that stays."""
        self._end()
        sys.stderr.write(f"{visible(text)}\n")
        sys.stderr.flush()

    def _end(self) -> None:
        """Leave the line that moves as it is."""
        if self._width:
            sys.stderr.write("\n")
        self._width = 0
