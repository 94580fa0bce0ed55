"""Where a table's bytes lie in a model's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import ModelNotFoundError, PromptFormatError
from probe.tables.files import Files
from probe.vocabulary import TableDtype

STORED_AS: Mapping[TableDtype, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}


@dataclass(frozen=True)
class Table:
    """An embedding table in its stored precision."""

    values: NDArray[np.generic]
    """[V, H], or [H] of a vector; memory-mapped; bfloat16 as raw uint16."""
    dtype: TableDtype


@dataclass(frozen=True)
class Span:
    """Where the bytes of a table, or of a vector beside it, lie."""

    file: str
    start: int
    shape: tuple[int, ...]
    dtype: TableDtype

    def load(self, files: Files) -> Table:
        """Map the bytes as an array."""
        stored = STORED_AS[self.dtype]
        stop = self.start + prod(self.shape) * stored.itemsize
        raw = files.map(self.file, self.start, stop)
        return Table(raw.view(stored).reshape(self.shape), self.dtype)


def damaged(where: str, file: str, found: str) -> ModelNotFoundError:
    """The error of a file that contradicts itself."""
    return ModelNotFoundError(f"{where}: {file} is damaged ({found[:160]}): fetch or save it again")


@contextmanager
def describing_damage(where: str, file: str, *kinds: type[Exception]) -> Iterator[None]:
    """Around a reader's work on a file: what it raises on damage becomes the error of that file.

    Args:
        where: the model as errors name it.
        file: what is read.
        kinds: what the reader raises besides its own refusals.

    Raises:
        ModelNotFoundError: the file is damaged.
    """
    caught: tuple[type[Exception], ...] = (PromptFormatError, *kinds)
    try:
        yield
    except caught as error:
        raise damaged(where, file, str(error) or type(error).__name__) from error
