"""CSV that a spreadsheet takes for what it is: names and tokens, never formulas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is computed when somebody opens the file, whoever wrote it."""


def csv_of(frame: pd.DataFrame) -> str:
    """A table of numbers and texts; a text that begins like a formula gets `'` in front."""
    return str(frame.rename(columns=_as_text).map(_as_text).to_csv(index=False))


def csv_with(frame: pd.DataFrame, made: Mapping[str, object]) -> str:
    """A table with how it was made, the same in every row, in columns of its own."""
    import pandas as pd

    how = pd.DataFrame([made] * len(frame), index=frame.index)
    return csv_of(pd.concat([frame, how], axis=1))


def _as_text(value: object) -> object:
    """A cell that no spreadsheet computes."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
