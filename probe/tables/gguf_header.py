"""The header of a GGUF file: metadata and where each tensor lies, read with strict limits.

Layout: `GGUF`, version, counts of tensors and of metadata; the metadata; per tensor its name,
shape, type and offset; then, aligned, the tensors' bytes
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). The `gguf` package reads the same in
Python objects of several fields per item, which takes seconds for a vocabulary.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from probe.errors import ModelNotFoundError
from probe.tables.checkpoint import MAX_HEADER_BYTES
from probe.tables.files import Files
from probe.tables.span import damaged

BLOCKS: Mapping[int, tuple[int, int]] = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34)},
    **{9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176)},
    **{14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98)},
    **{19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1)},
    **{25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54)},
    **{35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18)},
}
"""Numbers and bytes of a block by ggml's number of the type. The `gguf` package has the same, but
takes longer to import than a header to read."""


def stored_bytes(kind: int, shape: tuple[int, ...]) -> int | None:
    """Bytes that a tensor takes: 0 where rows are no whole blocks, None for an unknown type."""
    if kind not in BLOCKS:
        return None
    numbers, size = BLOCKS[kind]
    return 0 if shape[-1] % numbers else prod(shape) // numbers * size


MAX_ITEMS = 1 << 22
"""Most tensors, metadata or strings of one array: the largest vocabularies have 2^18 tokens."""

_VERSIONS = (2, 3)
_FIRST_READ_BYTES = 1 << 20
_LENGTH = struct.Struct("<Q")
_STRING, _ARRAY, _BOOL = 8, 9, 7
_NUMBERS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "u1"} | {
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_MAX_DIMENSIONS = 4
_MAX_ALIGNMENT = 1 << 20


@dataclass(frozen=True)
class GgufTensor:
    """Where one tensor's bytes lie, and how they are stored."""

    shape: tuple[int, ...]
    """Slowest axis first, as NumPy has it; the file has it the other way round."""
    kind: int
    """ggml's number of the type."""
    start: int
    """First byte, from the start of the file."""
    stop: int | None
    """One past the last byte; None for a type that the `gguf` package does not know."""


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says before its tensors' bytes."""

    metadata: Mapping[str, Any]
    """Numbers, strings, lists of strings, arrays of numbers."""
    tensors: Mapping[str, GgufTensor]
    sha256: str
    """Digest of the header's bytes."""

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the model's family: `llama`, `qwen2`, `gemma3`."""
        found = self.metadata.get("general.architecture")
        return found if isinstance(found, str) else ""


def read_gguf_header(files: Files, name: str) -> GgufHeader:
    """The header of one GGUF file.

    Raises:
        ModelNotFoundError: the file is no GGUF file, damaged, cut off, or of another version.
    """
    size = files.size(name)
    if size is None:
        raise ModelNotFoundError(f"{files.where} has no {name}: check the file's name")
    reader = _Reader(files, name, size)
    tensors, items = reader.read_start()
    metadata: dict[str, Any] = {}
    for _ in range(items):
        key = reader.read_string()
        if key in metadata:
            raise reader.damaged(f"the key {key[:60]!r} twice")
        metadata[key] = reader.read_value(reader.read_number("<u4"))
    entries = dict(_read_entries(reader, tensors))
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment <= _MAX_ALIGNMENT or alignment % 8:
        raise reader.damaged(f"an alignment of {alignment!r} bytes")
    first = -(-reader.at // alignment) * alignment
    placed = {key: _place(reader, key, *entry, first, alignment) for key, entry in entries.items()}
    _refuse_overlaps(reader, placed)
    return GgufHeader(metadata, placed, reader.digest())


class _Reader:
    """Walks a header, fetching more of the file as it goes."""

    def __init__(self, files: Files, name: str, size: int) -> None:
        self._files, self._name, self.size = files, name, size
        self._data = bytearray()
        self.at = 0

    def digest(self) -> str:
        """sha256 of what was walked over."""
        return hashlib.sha256(memoryview(self._data)[: self.at]).hexdigest()

    def damaged(self, found: str) -> ModelNotFoundError:
        """The error of a header that contradicts itself or the file."""
        return damaged(self._files.where, self._name, found)

    def read_start(self) -> tuple[int, int]:
        """Numbers of tensors and of metadata."""
        magic = self._take(4)
        if magic != b"GGUF":
            raise ModelNotFoundError(
                f"{self._files.where}: {self._name} starts with {magic!r}, expected a GGUF file: "
                "fetch it again, or convert the model with llama.cpp"
            )
        version = self.read_number("<u4")
        if version not in _VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS
            found = "big-endian" if swapped else f"of version {version}"
            raise ModelNotFoundError(
                f"{self._files.where}: {self._name} is {found}, expected a little-endian GGUF "
                "file of version 2 or 3: convert it with a current llama.cpp"
            )
        return self._count("tensors", 24), self._count("metadata", 12)

    def read_number(self, dtype: str) -> Any:
        """One number as Python has it."""
        stored = np.dtype(dtype)
        return np.frombuffer(self._take(stored.itemsize), stored)[0].item()

    def read_string(self) -> str:
        """One string; bytes that are no UTF-8 become U+FFFD."""
        return self._take(self.read_number("<u8")).decode("utf-8", "replace")

    def read_value(self, kind: int) -> Any:
        """One value of metadata."""
        if kind == _STRING:
            return self.read_string()
        if kind == _ARRAY:
            return self._read_array(self.read_number("<u4"))
        if kind not in _NUMBERS:
            raise self.damaged(f"metadata of type {kind}")
        number = self.read_number(_NUMBERS[kind])
        return bool(number) if kind == _BOOL else number

    def _read_array(self, kind: int) -> Any:
        if kind == _STRING:
            return list(self._read_strings(self._count("strings", 8)))
        if kind not in _NUMBERS:
            raise self.damaged(f"an array of type {kind}")
        stored = np.dtype(_NUMBERS[kind])
        return np.frombuffer(
            self._take(self._count("numbers", stored.itemsize) * stored.itemsize), stored
        )

    def _read_strings(self, count: int) -> Iterator[str]:
        """Many strings; the plain loop is what makes a vocabulary quick."""
        at, data, ends = self.at, self._data, len(self._data)
        for _ in range(count):
            if at + 8 > ends:
                self._fetch(at + 8)
                ends = len(data)
            (length,) = _LENGTH.unpack_from(data, at)
            stop = at + 8 + length
            if stop > ends:
                self._fetch(stop)
                ends = len(data)
            yield data[at + 8 : stop].decode("utf-8", "replace")
            at = stop
        self.at = at

    def _count(self, what: str, least_bytes: int) -> int:
        """A count that the rest of the file has room for."""
        count = int(self.read_number("<u8"))
        if count > MAX_ITEMS or count * least_bytes > self.size - self.at:
            raise self.damaged(f"{count} {what} in a file of {self.size} bytes")
        return count

    def _take(self, length: int) -> bytes:
        stop = self.at + length
        if stop > len(self._data):
            self._fetch(stop)
        taken = bytes(self._data[self.at : stop])
        self.at = stop
        return taken

    def _fetch(self, stop: int) -> None:
        """Read on until byte `stop` is there, four times as far each time."""
        limit = min(self.size, MAX_HEADER_BYTES)
        if stop > limit:
            raise self.damaged(f"a header that reaches byte {stop} of {self.size}")
        have = len(self._data)
        upto = min(limit, max(stop, 4 * have, _FIRST_READ_BYTES))
        more = self._files.read(self._name, have, upto)
        if len(more) != upto - have:
            raise self.damaged(f"{have + len(more)} bytes where {upto} were expected")
        self._data += more


_Entry = tuple[tuple[int, ...], int, int]


def _read_entries(reader: _Reader, count: int) -> Iterator[tuple[str, _Entry]]:
    """Names of tensors with shape, type and offset."""
    seen = set()
    for _ in range(count):
        name = reader.read_string()
        dimensions = reader.read_number("<u4")
        if name in seen or not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise reader.damaged(f"tensor {name[:60]!r} twice or of {dimensions} dimensions")
        seen.add(name)
        shape = tuple(reader.read_number("<u8") for _ in range(dimensions))
        yield name, (shape[::-1], reader.read_number("<u4"), reader.read_number("<u8"))


def _place(
    reader: _Reader,
    name: str,
    shape: tuple[int, ...],
    kind: int,
    offset: int,
    first: int,
    alignment: int,
) -> GgufTensor:
    """Check that a tensor's bytes lie in the file."""
    start = first + offset
    if 0 in shape or offset % alignment or start > reader.size:
        raise reader.damaged(f"tensor {name[:60]!r} of shape {shape} at byte {start}")
    needed = stored_bytes(kind, shape)
    if needed == 0:
        raise reader.damaged(f"tensor {name[:60]!r} of shape {shape} cut into blocks")
    if needed is not None and start + needed > reader.size:
        raise reader.damaged(
            f"tensor {name[:60]!r} up to byte {start + needed} in a file of {reader.size}"
        )
    return GgufTensor(shape, kind, start, None if needed is None else start + needed)


def _refuse_overlaps(reader: _Reader, tensors: Mapping[str, GgufTensor]) -> None:
    spans = sorted((t.start, t.stop, name) for name, t in tensors.items() if t.stop is not None)
    for (_, stop, name), (start, _, other) in pairwise(spans):
        if start < stop:
            raise reader.damaged(f"tensors {name[:60]!r} and {other[:60]!r} that overlap")
