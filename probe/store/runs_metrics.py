"""`metrics.jsonl`: one record a line, appended while others read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def read_records(path: Path, offset: int = 0) -> tuple[list[Record], int]:
    """The whole records from a byte offset on, and the offset behind the last of them.

    A last line that is still being written, or that a kill cut off, is left for the next reader;
    a line that is no record is passed over.
    """
    found = list(_lines(path, offset))
    records = [record for record, _ in found if record is not None]
    return records, found[-1][1] if found else offset


def cut_records(path: Path, step: int) -> None:
    """Cut off the records after a step, and what a kill left of a line.

    In place: whoever reads the file meanwhile keeps reading the same one.
    """
    end = 0
    for record, after in _lines(path, 0):
        if record is not None and record.get("step", 0) > step:
            break
        end = after
    if path.exists():
        os.truncate(path, end)


def _lines(path: Path, offset: int) -> Iterator[tuple[Record | None, int]]:
    """Every finished line as a record, None where it is none, and the offset behind it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield _record(line), offset


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
