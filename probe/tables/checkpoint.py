"""Find one tensor in a checkpoint and map it into memory, reading headers only."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeGuard

from probe.errors import ModelNotFoundError
from probe.tables.files import Files, parse_object
from probe.tables.span import STORED_AS, Span, Table, damaged

MAX_HEADER_BYTES = 100_000_000
"""The bound that the safetensors library itself sets."""


def load_table(files: Files, names: Sequence[str]) -> Table:
    """The first of the named tensors that the checkpoint holds.

    Files are tried in the order of transformers: safetensors, sharded safetensors, `.bin`,
    sharded `.bin`.

    Raises:
        ModelNotFoundError: there is no checkpoint, it holds none of the names, or it is damaged.
    """
    for single in ("model.safetensors", "pytorch_model.bin"):
        shard: str | None = None
        if files.size(single) is not None:
            shard = single
        elif (index := files.small(f"{single}.index.json")) is not None:
            shard = _shard_of(index, names, f"{single}.index.json", files.where)
        if shard is not None:
            span = _find(files, shard, names)
            if span is None:
                raise _absent(files.where, shard, names)
            return span.load(files)
    raise ModelNotFoundError(
        f"{files.where} has no weights: expected model.safetensors, pytorch_model.bin, or one of "
        "them in shards with its index.json"
    )


def _find(files: Files, shard: str, names: Sequence[str]) -> Span | None:
    if shard.endswith(".safetensors"):
        return find_in_safetensors(files, shard, names)
    from probe.tables.torch_files import find_in_bin  # few need the pickle reader

    return find_in_bin(files, shard, names)


def find_in_safetensors(files: Files, file: str, names: Sequence[str]) -> Span | None:
    """Where a safetensors file holds the first of the named tensors; None when it does not.

    Layout: 8 bytes of little-endian header length, a JSON header, then the tensors' bytes
    (https://github.com/huggingface/safetensors#format).

    Raises:
        ModelNotFoundError: the header is damaged or contradicts the file's length.
    """
    size = files.size(file)
    if size is None:
        raise ModelNotFoundError(f"{files.where} lacks {file}, which its index names")
    length = int.from_bytes(files.read(file, 0, 8), "little") if size >= 8 else size
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise damaged(files.where, file, f"a header of {length} bytes in a file of {size}")
    header = parse_object(files.read(file, 8, 8 + length), f"{file}'s header", files.where)
    # `safetensors.torch.save_model` keeps one of several tied names; the metadata lists the rest.
    aliases = header.get("__metadata__")
    aliases = aliases if isinstance(aliases, dict) else {}
    for name in names:
        for stored_name in (name, aliases.get(name)):
            if isinstance(stored_name, str) and stored_name in header:
                return _span(header[stored_name], file, 8 + length, size, files.where)
    return None


def _span(entry: object, file: str, data_start: int, size: int, where: str) -> Span:
    """Check one header entry against the file's length."""
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    shape, offsets = fields.get("shape"), fields.get("data_offsets")
    dtype = next((known for known in STORED_AS if known == fields.get("dtype")), None)
    if dtype is None:
        raise damaged(
            where, file, f"the table's dtype {fields.get('dtype')!r}, not one of {list(STORED_AS)}"
        )
    if not _two_naturals(shape) or 0 in shape:
        raise damaged(where, file, f"the table's shape {shape!r}, not [V, H]")
    if not _two_naturals(offsets):
        raise damaged(where, file, f"the table's offsets {offsets!r}")
    start, stop = offsets
    needed = prod(shape) * STORED_AS[dtype].itemsize
    if stop - start != needed or data_start + stop > size:
        raise damaged(
            where, file, f"offsets {offsets} for {needed} bytes of table in a file of {size}"
        )
    return Span(file, data_start + start, (shape[0], shape[1]), dtype)


def _two_naturals(found: object) -> TypeGuard[list[int]]:
    return (
        isinstance(found, list)
        and len(found) == 2
        and all(type(number) is int and number >= 0 for number in found)
    )


def _shard_of(index: bytes, names: Sequence[str], file: str, where: str) -> str:
    """The shard that an index names for the table: a plain name beside the index."""
    shards = parse_object(index, file, where).get("weight_map")
    shards = shards if isinstance(shards, dict) else {}
    shard = next((shards[name] for name in names if name in shards), None)
    if shard is None:
        raise _absent(where, file, names)
    if (
        not isinstance(shard, str)
        or shard in ("", ".", "..")
        or PurePosixPath(shard).name != shard
        or PureWindowsPath(shard).name != shard
        or "\0" in shard
    ):
        raise damaged(where, file, f"the shard name {shard!r}, not a file beside the index")
    return shard


def _absent(where: str, file: str, names: Sequence[str]) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{where}: {file} holds no embedding table under any of {', '.join(names)}: "
        "check that it is a whole model, not an adapter"
    )
