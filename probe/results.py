"""What was found makes its own document, table, headline and figure, and draws itself."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from probe.errors import ProbeError
from probe.texts import as_json, counted, visible

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Row = TypeVar("Row")
ROWS_SHOWN = 20
"""Rows of a table that a notebook shows; `to_frame` has all."""
LETTERS_SHOWN = 80
"""Of a cell, likewise; of a digest fewer tell it from others."""
_WIDE, _FEW, _LONG = 10, 3, 24
"""Columns of a wide table, rows of one that stands upright, letters of a long cell."""
_DIGEST = re.compile(r"[0-9a-f]{40,}")
_STYLE = "overflow-x:auto;font-variant-numeric:tabular-nums"


class Result:
    """A dataclass that draws itself.

    Results of verbs have their own `headline` and `figures`. Those of what lies below the words and
    the charts are worded and drawn above: tables in `probe.reports.headlines` (of jobs,
    `probe.jobs.headlines`) and `probe.reports.figures` name them by kind of result.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    _left_out: ClassVar[frozenset[str]] = frozenset()
    """Fields that are in no document."""
    _whole: ClassVar[str] = ""
    """A field that holds the result itself, of which document, table, headline and figures are this
    one's too, with the other fields beside it in the document; empty where there is none."""

    def to_json(self) -> dict[str, Any]:
        """The document that `--json` prints: plain containers, finite numbers, None for NaN."""
        document: dict[str, Any] = as_json(self._document())
        return document

    def to_frame(self) -> pd.DataFrame:
        """What was found as a table, a row for each of its parts."""
        if self._whole:
            return self._inner.to_frame()
        import pandas as pd

        return pd.DataFrame(self._rows())

    def headline(self) -> list[str]:
        """What was found in plain sentences, the answer first; empty where it has no words."""
        if self._whole:
            return self._inner.headline()
        package = "jobs" if kind_of(self).startswith("jobs.") else "reports"
        say = _entry(f"probe.{package}.headlines", "HEADLINES", self)
        return [] if say is None else list(say(self))

    def figures(self) -> dict[str, go.Figure]:
        """Every figure there is of it by title, the one that tells most first."""
        if self._whole:
            return self._inner.figures()
        draw = _entry("probe.reports.figures", "FIGURES", self)
        return {} if draw is None else dict(draw(self))

    def figure(self) -> go.Figure:
        """The figure that tells most of it.

        Raises:
            ProbeError: it has none.
        """
        for figure in self.figures().values():
            return figure
        raise ProbeError(f"{type(self).__name__} has no figure: to_frame() has what it found")

    def _document(self) -> Mapping[str, Any]:
        names = (field.name for field in dataclasses.fields(self))
        own = {name: getattr(self, name) for name in names if name not in self._left_out}
        inner = own.pop(self._whole, None)
        return own if inner is None else own | inner.to_json()

    @property
    def _inner(self) -> Result:
        inner: Result = getattr(self, self._whole)
        return inner

    def _rows(self) -> Any:
        """One row; kinds of several have their own, as rows or as columns."""
        return [self.to_json()]

    def _notebook_rows(self) -> list[dict[str, Any]] | None:
        """Fewer rows than the table has, that tell as much at a glance; None: the table itself."""
        return None

    def _repr_html_(self) -> str:
        import pandas as pd

        rows = self._notebook_rows()
        frame = self.to_frame() if rows is None else pd.DataFrame(rows)
        first, *others = [escape(visible(line)) for line in self.headline()] or [""]
        told = f"<p><strong>{first}</strong> {' '.join(others)}</p>" if first else ""
        return f'<div style="{_STYLE}">{told}{_table(frame)}</div>'


class Rows(list[Row], Result):
    """Results or rows of one kind in a list, such as the runs of a workspace."""

    def __init__(self, rows: Iterable[Row], kind: Literal["store.prompts", "jobs.runs"]) -> None:
        super().__init__(rows)
        self.kind = kind

    def _rows(self) -> list[Any]:
        """One row each."""
        return [as_json(one) for one in self]

    def _document(self) -> Mapping[str, Any]:
        return {self.kind.split(".")[1]: list(self)}


def kind_of(result: Result) -> str:
    """A kind of result by package and name, `analysis.Decoding`."""
    if isinstance(result, Rows):
        return result.kind
    return f"{type(result).__module__.split('.')[1]}.{type(result).__name__}"


def _entry(module: str, table: str, result: Result) -> Any:
    return getattr(importlib.import_module(module), table).get(kind_of(result))


def _table(frame: pd.DataFrame) -> str:
    """The first rows, without columns that hold nothing, and what there is beside them.

    A wide table of few rows stands upright, as names and values; of more rows its long cells, such
    as the settings of a run, are left out, which would make every row many lines high.
    """
    import pandas as pd

    cells = frame.head(ROWS_SHOWN).map(_shown)
    cells = cells.loc[:, (cells != "").any()].rename(index=_shown, columns=_shown)
    named = not isinstance(frame.index, pd.RangeIndex)
    if cells.shape[1] > _WIDE and len(frame) <= _FEW:
        html = str(cells.T.to_html(header=named, border=0))
        return html.replace("<td>", '<td style="text-align:left">')
    kept = cells.loc[:, cells.map(len).max() <= _LONG] if cells.shape[1] > _WIDE else cells
    rows, columns = len(frame) - len(cells), cells.shape[1] - kept.shape[1]
    parts = [f"{ROWS_SHOWN} of {len(frame):,} rows"] * (rows > 0)
    parts += [f"without {counted(columns, 'column')} of long cells"] * (columns > 0)
    more = f"<p>{', '.join(parts)}; <code>to_frame()</code> has all.</p>" if parts else ""
    return str(kept.to_html(index=named, border=0)) + more


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    text = "" if value is None else visible(_spelled(value))
    most = 13 if _DIGEST.fullmatch(text) else LETTERS_SHOWN
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _spelled(value: Any) -> str:
    """Values within a value with commas between them."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return str(value)
