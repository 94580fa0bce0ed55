"""Rows of JSONL, CSV, TSV and Parquet files, each with the place it came from."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.errors import DataError, MissingExtraError
from probe.texts import counted, did_you_mean

MAX_BYTES = 1 << 30
"""Largest data file that is read: examples are kept in memory."""


@dataclass(frozen=True)
class DataRow:
    """One row of a data file."""

    where: str
    """For messages: file and line, `train.jsonl, line 3`."""
    values: Mapping[str, object]
    """Cells by column name."""

    def cell(self, column: str) -> object:
        """What a column holds.

        Raises:
            DataError: there is no such column.
        """
        if column not in self.values:
            raise DataError(
                f"{self.where}: expected a column named {column!r}, "
                f"found {', '.join(map(repr, self.values)) or 'none'}"
                f"{did_you_mean(column, map(str, self.values))}"
            )
        return self.values[column]


def read_rows(path: Path) -> Iterator[DataRow]:
    """The rows of a data file, by its suffix; blank lines are passed over.

    Raises:
        DataError: the file is missing, too large, of an unknown kind, not UTF-8 or damaged; the
            message names the line.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: expected a file named {', '.join(f'*{suffix}' for suffix in _READERS)}, "
            f"found {path.suffix or 'no suffix'}"
        )
    return reader(path)


def read_bytes(path: Path) -> bytes:
    """A whole data file.

    Raises:
        DataError: the file is missing, not a regular file or larger than `MAX_BYTES`.
    """
    if not path.is_file():
        raise DataError(f"{path}: expected a data file, found {_instead(path)}")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: expected at most {MAX_BYTES:,} bytes, found {size:,}")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def read_text(path: Path) -> str:
    """A whole data file as text.

    Raises:
        DataError: as `read_bytes`, or a line is not UTF-8.
    """
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}, line {line}: expected UTF-8 text, found byte 0x{data[error.start]:02x}: "
            "save the file as UTF-8"
        ) from error


def _instead(path: Path) -> str:
    if path.is_dir():
        return "a folder"
    return "something else" if path.exists() else "nothing there"


def _read_jsonl(path: Path) -> Iterator[DataRow]:
    # Only \n ends a line: a JSON text may hold the other line separators that splitlines() knows.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}: expected one JSON object per line ({error}), found {shown(line)}"
            ) from error
        if not isinstance(value, dict):
            raise DataError(f"{where}: expected a JSON object, found {shown(value)}")
        yield DataRow(where, value)


def _read_csv(path: Path, *, delimiter: str | None = None) -> Iterator[DataRow]:
    # strict: a quote that never closes is an error, not one cell with the rest of the file.
    text = read_text(path)
    chosen = delimiter or _delimiter(text)
    lines = io.StringIO(text, newline="")
    return _csv_rows(path, csv.reader(lines, delimiter=chosen, strict=True))


def _delimiter(text: str) -> str:
    """What stands between the columns' names: a comma, else a semicolon or a tab."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    outside = re.sub(r'"[^"]*"', "", header)
    return next((one for one in (",", ";", "\t") if one in outside), ",")


def _csv_rows(path: Path, reader: Any) -> Iterator[DataRow]:
    csv.field_size_limit(MAX_BYTES)  # a text may be long, as in every other format
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            where, line = f"{path}, line {line}", reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = _header(where, cells)
            elif len(cells) != len(header):
                raise DataError(
                    f"{where}: expected {counted(len(header), 'cell')} ({', '.join(header)}), "
                    f"found {len(cells)}: put quotes around a text that holds the separator"
                )
            else:
                yield DataRow(where, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: expected a CSV row ({error})") from error


def _header(where: str, cells: list[str]) -> list[str]:
    """The names of the columns."""
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"{where}: expected columns of different names, found {twice!r} "
            f"{names.count(twice)} times: rename them"
        )
    return names


def _read_tsv(path: Path) -> Iterator[DataRow]:
    return _read_csv(path, delimiter="\t")


def _read_parquet(path: Path) -> Iterator[DataRow]:
    data = read_bytes(path)
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "datasets") from error
    try:
        rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    except (ValueError, OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: expected a Parquet file ({error})") from error
    for number, values in enumerate(rows, start=1):
        yield DataRow(f"{path}, row {number}", values)


def shown(value: object) -> str:
    """A value for a message, cut to a readable length."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text[:60] + "…") if len(text) > 60 else repr(value)


_READERS: dict[str, Callable[[Path], Iterator[DataRow]]] = {
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
}
DATA_SUFFIXES = tuple(_READERS)
"""Of the files that `read_rows` reads."""
