"""Find one tensor in a `.bin` that torch saved, reading its pickle and nothing else.

The pickle goes through the one restricted reader of `probe.formats`; the tensor's numbers stay in
the file, where both of torch's layouts keep them uncompressed.
"""

from __future__ import annotations

import io
import zipfile
from math import prod
from typing import Any

from probe.errors import ModelNotFoundError, PromptFormatError
from probe.formats.pickle.reader import DAMAGE, LEGACY_MAGIC, PicklesInPlace, StorageInPlace
from probe.formats.pickle.values import Tensor
from probe.tables.files import Files
from probe.tables.span import (
    STORED_AS,
    STORED_OTHERWISE,
    TORCH_DTYPES,
    Span,
    describing_damage,
    quantised,
)

MAX_PICKLE_BYTES = 1 << 26
"""Longest pickle that is read: it names tensors, whose numbers lie elsewhere."""
MAX_DIRECTORY_BYTES = 1 << 24
"""Longest list of a zip's members; torch writes one per tensor."""

_DAMAGE = (*DAMAGE, zipfile.BadZipFile, NotImplementedError)
"""What the readers raise on bytes that no writer makes."""
_FIRST_BYTES = 1 << 20
_LOCAL_HEADER_BYTES = 30
_COUNT_BYTES = 8


class TorchFile:
    """A `.bin` that holds a state dict."""

    def __init__(self, files: Files, file: str) -> None:
        """Read the pickle that names the tensors.

        Raises:
            ModelNotFoundError: the file is damaged, or holds more than tensors in plain
                containers.
        """
        size = files.size(file)
        if size is None:
            raise ModelNotFoundError(f"{files.where} lacks {file}, which its index names")
        self._where, self._file = files.where, file
        with describing_damage(self._where, self._file, *_DAMAGE):
            zipped = size > 4 and files.read(file, 0, 4) == b"PK\3\4"
            self._layout = (_Zip if zipped else _Legacy)(files, file, size)
        state = self._layout.value if isinstance(self._layout.value, dict) else {}
        self.names = {name: found for name, found in state.items() if isinstance(name, str)}

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape; empty where the name stands for something else."""
        found = self.names[name]
        return tuple(found.layout.shape) if isinstance(found, Tensor) else ()

    def span(self, name: str, axes: int = 2) -> Span:
        """Where the bytes of a table, or of a vector (one axis), lie.

        Raises:
            ModelNotFoundError: the file is damaged, or the table is quantised.
        """
        found = self.names[name]
        if isinstance(found, Tensor) and found.layout.dtype in STORED_OTHERWISE:
            raise quantised(self._where, self._file, name, found.layout.dtype, self.names)
        with describing_damage(self._where, self._file, *_DAMAGE):
            match found:
                case Tensor(storage=StorageInPlace() as storage):
                    return _span(self._file, found, axes, *self._layout.bounds(storage))
            raise PromptFormatError(f"a {type(found).__name__} where the table should be")


class _Zip:
    """The zip that torch writes since 1.6: `archive/data.pkl`, `archive/data/KEY`."""

    def __init__(self, files: Files, file: str, size: int) -> None:
        self._files, self._file, self._size = files, file, size
        with zipfile.ZipFile(io.BufferedReader(_Ranges(files, file, size), 1 << 16)) as archive:
            self._members = {info.filename: info for info in archive.infolist()}
        pickle_name = next((name for name in self._members if name.endswith("/data.pkl")), None)
        if pickle_name is None:
            raise PromptFormatError("a zip without data.pkl")
        self._root = pickle_name.removesuffix("data.pkl")
        start, stop = _stored(files, file, self._members[pickle_name], size)
        if stop - start > MAX_PICKLE_BYTES:
            raise PromptFormatError(f"a pickle of {stop - start} bytes")
        self.value = PicklesInPlace(files.read(file, start, stop)).next()

    def bounds(self, storage: StorageInPlace) -> tuple[int, int]:
        """Where a storage's bytes lie in the file."""
        if (order := self._members.get(f"{self._root}byteorder")) is not None:
            _check_byte_order(self._files, self._file, order, self._size)
        member = self._members.get(f"{self._root}data/{storage.key}")
        if member is None:
            raise PromptFormatError("the table's numbers are missing")
        return _stored(self._files, self._file, member, self._size)


def _stored(files: Files, file: str, member: zipfile.ZipInfo, size: int) -> tuple[int, int]:
    """Where an uncompressed member's bytes lie (APPNOTE.TXT 4.3.7)."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise PromptFormatError(
            f"a compressed {ascii(member.filename[:60])}; torch compresses none"
        )
    end = member.header_offset + _LOCAL_HEADER_BYTES
    if member.header_offset < 0 or end > size:
        raise PromptFormatError("a member outside the file")
    header = files.read(file, member.header_offset, end)
    start = end + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    if start + member.file_size > size:
        raise PromptFormatError("a member that ends outside the file")
    return start, start + member.file_size


def _check_byte_order(files: Files, file: str, member: zipfile.ZipInfo, size: int) -> None:
    start, stop = _stored(files, file, member, size)
    if files.read(file, start, min(stop, start + 8)) != b"little":
        raise PromptFormatError("numbers in big-endian order")


class _Legacy:
    """The layout before torch 1.6.

    Pickles of a magic number, a version, the system, the state dict and the storages' keys, then
    each storage in the order of the keys: its number of elements, and the elements.
    """

    def __init__(self, files: Files, file: str, size: int) -> None:
        self._files, self._file, self._size = files, file, size
        self._pickles, self.value, self._keys = _legacy_pickles(files, file, size)

    def bounds(self, storage: StorageInPlace) -> tuple[int, int]:
        """Where a storage's bytes lie in the file."""
        start = self._pickles.place
        for key in self._keys:
            found = self._pickles.storages.get(key) if isinstance(key, str) else None
            if found is None:
                raise PromptFormatError("numbers that no tensor refers to")
            stop = start + _COUNT_BYTES + found.nbytes
            if found is storage:
                _check_count(self._files, self._file, start, found.size)
                return start + _COUNT_BYTES, min(stop, self._size)
            start = stop
        raise PromptFormatError("the table's numbers are missing")


def _check_count(files: Files, file: str, start: int, elements: int) -> None:
    if files.read(file, start, start + _COUNT_BYTES) != elements.to_bytes(_COUNT_BYTES, "little"):
        raise PromptFormatError("the table's numbers are not where they should be")


def _legacy_pickles(
    files: Files, file: str, size: int
) -> tuple[PicklesInPlace, object, list[object]]:
    """The pickles, the state dict and the keys; they are short, so few bytes are tried first."""
    for length in (_FIRST_BYTES, MAX_PICKLE_BYTES):
        pickles = PicklesInPlace(files.read(file, 0, min(length, size)))
        try:
            magic, _version, system, value, keys = (pickles.next() for _ in range(5))
        except PromptFormatError:
            if length < min(size, MAX_PICKLE_BYTES):
                continue
            raise
        if magic != LEGACY_MAGIC or not isinstance(keys, list):
            raise PromptFormatError("not a file that torch saved")
        if not (isinstance(system, dict) and system.get("little_endian") is True):
            raise PromptFormatError("numbers in big-endian order")
        return pickles, value, keys
    raise PromptFormatError("no state dict near the start of the file")


def _span(file: str, tensor: Tensor, axes: int, start: int, stop: int) -> Span:
    """Where a tensor's rows lie within its storage's bytes [start, stop)."""
    layout, storage = tensor.layout, tensor.storage
    dtype = TORCH_DTYPES.get(layout.dtype)
    if dtype is None:
        raise PromptFormatError(
            f"the table's dtype {layout.dtype}, not one of {list(TORCH_DTYPES)}"
        )
    if len(layout.shape) != axes or 0 in layout.shape:
        raise PromptFormatError(f"the table's shape {layout.shape}, not [V, H]")
    if layout.strides not in (None, (*layout.shape[1:], 1)):
        raise PromptFormatError("a table whose rows do not follow each other")
    width_bytes = STORED_AS[dtype].itemsize
    first = start + layout.offset * width_bytes
    last = first + prod(layout.shape) * width_bytes
    if stop - start < storage.nbytes or last > stop:
        raise PromptFormatError("the table's numbers are cut short")
    return Span(file, first, tuple(layout.shape), dtype)


class _Ranges(io.RawIOBase):
    """A file that is read range by range, for zipfile."""

    def __init__(self, files: Files, file: str, size: int) -> None:
        self._files, self._file, self._size, self._place = files, file, size, 0
        self._left = MAX_DIRECTORY_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError("a place before the file's start")
        self._place = origin + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._size - self._place))
        self._left -= length
        if self._left < 0:
            raise PromptFormatError(f"a zip directory beyond {MAX_DIRECTORY_BYTES} bytes")
        if length:
            buffer[:length] = self._files.read(self._file, self._place, self._place + length)
        self._place += length
        return length
