"""A checkpoint's tensors by name, read from headers only; one of them is mapped into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, TypeGuard

from probe.errors import ModelNotFoundError, PromptFormatError
from probe.formats.containers.safetensors_npy import header_bytes, tensor_entry
from probe.tables.files import Files, parse_object
from probe.tables.span import (
    STORED_AS,
    STORED_OTHERWISE,
    Span,
    Table,
    damaged,
    describing_damage,
    quantised,
)

if TYPE_CHECKING:
    from probe.tables.torch_files import TorchFile

MAX_HEADER_BYTES = 100_000_000
"""The bound that the safetensors library itself sets."""
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Checkpoint:
    """Names of all tensors, and where they are; files are opened when a tensor is asked for."""

    files: Files
    listing: str
    """The file that lists the names: the weights themselves, or the index of their shards."""
    shards: Mapping[str, object]
    """Tensor name → file beside the listing, as an index gives it: not to be trusted."""
    _opened: dict[str, Safetensors | TorchFile] = field(default_factory=dict)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape; empty where its file does not say.

        Raises:
            ModelNotFoundError: the file is damaged.
        """
        return self._shard(name).shape(name)

    def load(self, name: str, axes: int = 2) -> Table:
        """Map a table [V, H] into memory, or a vector [H] that a layer has beside it (one axis).

        Raises:
            ModelNotFoundError: the file is damaged, or the table is stored in another way.
        """
        return self._shard(name).span(name, axes).load(self.files)

    def _shard(self, name: str) -> Safetensors | TorchFile:
        file = self.shards[name]
        if not _plain_name(file):
            found = f"the shard name {file!r}, not a file beside the index"
            raise damaged(self.files.where, self.listing, found)
        if file not in self._opened:
            self._opened[file] = _open(self.files, file)
        shard = self._opened[file]
        if name not in shard.names:
            raise damaged(self.files.where, self.listing, f"{name} is not in {file}")
        return shard


def open_checkpoint(files: Files) -> Checkpoint:
    """List a model's tensors.

    Files are tried in the order of transformers: safetensors, sharded safetensors, `.bin`,
    sharded `.bin`.

    Raises:
        ModelNotFoundError: there is no checkpoint, or it is damaged.
    """
    for single in _WEIGHTS:
        if files.size(single) is not None:
            shard = _open(files, single)
            return Checkpoint(files, single, dict.fromkeys(shard.names, single), {single: shard})
        index = f"{single}.index.json"
        if (data := files.small(index)) is not None:
            shards = parse_object(data, index, files.where).get("weight_map")
            return Checkpoint(files, index, shards if isinstance(shards, dict) else {})
    raise ModelNotFoundError(
        f"{files.where} has no weights: expected model.safetensors, pytorch_model.bin, or one of "
        "them in shards with its index.json"
    )


def _open(files: Files, file: str) -> Safetensors | TorchFile:
    if not file.endswith(".bin"):
        return Safetensors(files, file)
    from probe.tables.torch_files import TorchFile  # few need the pickle reader

    return TorchFile(files, file)


class Safetensors:
    """A safetensors file.

    Layout: 8 bytes of little-endian header length, a JSON header, then the tensors' bytes
    (https://github.com/huggingface/safetensors#format).
    """

    def __init__(self, files: Files, file: str) -> None:
        """Read the header.

        Raises:
            ModelNotFoundError: the header is damaged or contradicts the file's length.
        """
        size = files.size(file)
        if size is None:
            raise ModelNotFoundError(f"{files.where} lacks {file}, which its index names")
        with describing_damage(files.where, file):
            length = header_bytes(files.read(file, 0, min(8, size)), size)
        if length > MAX_HEADER_BYTES:
            raise damaged(files.where, file, f"a header of {length} bytes in a file of {size}")
        header = parse_object(files.read(file, 8, 8 + length), f"{file}'s header", files.where)
        self._where, self._file, self._size = files.where, file, size
        self._data_start = 8 + length
        aliases = header.pop("__metadata__", None)
        self.names: dict[str, Any] = _aliased(header, aliases) | header

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape; empty where the header is damaged."""
        try:
            return tensor_entry(name, self.names[name]).shape
        except PromptFormatError:
            return ()

    def span(self, name: str, axes: int = 2) -> Span:
        """Check a table's or vector's entry against the file's length.

        Raises:
            ModelNotFoundError: they contradict each other, or the table is quantised.
        """
        where, file = self._where, self._file
        with describing_damage(where, file):
            entry = tensor_entry(name, self.names[name])
        if entry.dtype in STORED_OTHERWISE:
            raise quantised(where, file, name, entry.dtype, self.names)
        dtype = next((known for known in STORED_AS if known == entry.dtype), None)
        if dtype is None:
            found = f"the table's dtype {entry.dtype!r}, not one of {list(STORED_AS)}"
            raise damaged(where, file, found)
        if len(entry.shape) != axes or 0 in entry.shape:
            raise damaged(where, file, f"the table's shape {list(entry.shape)}, not [V, H]")
        needed = prod(entry.shape) * STORED_AS[dtype].itemsize
        if entry.stop - entry.start != needed or self._data_start + entry.stop > self._size:
            found = (
                f"offsets {entry.start} to {entry.stop} for {needed} bytes of table in a file of "
                f"{self._size}"
            )
            raise damaged(where, file, found)
        return Span(file, self._data_start + entry.start, entry.shape, dtype)


def _aliased(header: Mapping[str, Any], aliases: object) -> dict[str, Any]:
    """Entries of tied names: `safetensors.torch.save_model` keeps one, its metadata the rest."""
    return {
        name: header[kept]
        for name, kept in (aliases if isinstance(aliases, dict) else {}).items()
        if isinstance(kept, str) and kept in header
    }


def _plain_name(file: object) -> TypeGuard[str]:
    return (
        isinstance(file, str)
        and file not in ("", ".", "..")
        and PurePosixPath(file).name == file
        and PureWindowsPath(file).name == file
        and "\0" not in file
    )
