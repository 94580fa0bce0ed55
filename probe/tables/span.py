"""Where a table's bytes lie in a model's files, and what is said where they cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import ModelNotFoundError, PromptFormatError
from probe.formats.pickle.values import QuantisedError
from probe.tables.files import Files
from probe.vocabulary import EmbeddingLayer, TableDtype

STORED_AS: Mapping[TableDtype, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
TORCH_DTYPES: Mapping[str, TableDtype] = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
}
"""By the names that torch gives them."""


@dataclass(frozen=True)
class Table:
    """The rows a model looks tokens up in, in their stored precision."""

    values: NDArray[np.generic]
    """[V, H], or [H] of a vector beside them; memory-mapped; bfloat16 as raw uint16."""
    dtype: TableDtype
    factor: float = 1.0
    """What the embedding layer multiplies a row by."""
    layer: EmbeddingLayer | None = None
    """The layer itself, where it does more than that."""


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
    """Around a reader's work on a file: refusals, and errors of these kinds, become that file's.

    Raises:
        ModelNotFoundError: the file is damaged, or quantised.
    """
    caught: tuple[type[Exception], ...] = (PromptFormatError, *kinds)
    try:
        yield
    except QuantisedError as error:
        raise ModelNotFoundError(f"{where}: {file}: {error}") from error
    except caught as error:
        raise damaged(where, file, str(error) or type(error).__name__) from error


_FLOATS_8 = ("E4M3", "E4M3FNUZ", "E5M2", "E5M2FNUZ", "E8M0")
STORED_OTHERWISE = frozenset(
    (
        *(f"F8_{kind}" for kind in _FLOATS_8),
        *("F4", "F6_E2M3", "F6_E3M2", "I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL"),
        *(f"float8_{kind.lower()}" for kind in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz")),
        *("float8_e8m0fnu", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"),
        *("uint64", "bool"),
    )
)
"""The other dtypes of safetensors and, by the names torch gives them, of `.bin` files."""
_PACKED = ("qweight", "weight_packed", "weight._data", "weight._packed", "weight:qdata")
"""What GPTQ and AWQ, compressed-tensors, quanto and torchao call a packed `weight`."""


def find_packed(names: Iterable[str], tables: Iterable[str]) -> str | None:
    """The packed tensor that stands where one of the named tables would be."""
    stems = [table.removesuffix("weight") for table in tables if table.endswith("weight")]
    ends = tuple(f"{stem}{packed}" for stem in stems for packed in _PACKED)
    return next((name for name in names if f".{name}".endswith(ends)), None)


def quantised(
    where: str, file: str, name: str, dtype: str, names: Iterable[str]
) -> ModelNotFoundError:
    """The error of a table whose numbers are stored in few bits."""
    scales = _companions(name, names)
    beside = f", with {', '.join(scales)}" if scales else ""
    return ModelNotFoundError(
        f"{where}: {file} stores the table {name} quantised ({dtype}{beside}): expected "
        "F64, F32, F16 or BF16; use the model as it was before quantisation"
    )


def _companions(name: str, names: Iterable[str]) -> list[str]:
    """The last parts of the tensors that say how a quantised one is read: `weight_scale_inv`."""
    module = name.removesuffix("weight") if name.endswith("weight") else f"{name}."
    found = (other for other in names if other.startswith(module) and other != name)
    return sorted(other.removeprefix(module) for other in found)[:3]
