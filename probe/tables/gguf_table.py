"""The embedding table of a GGUF file as floats; what was undone once is kept by its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.arrays import ByteArray
from probe.errors import ModelNotFoundError
from probe.tables.cache import cache_folder, drop_unused, write_aside
from probe.tables.files import map_bytes
from probe.tables.gguf_files import GgufPart
from probe.tables.span import STORED_AS, Span, Table, damaged
from probe.vocabulary import TableDtype

TABLE = "token_embd.weight"
_PLAIN: Mapping[int, TableDtype] = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
"""ggml's numbers of the types that need no undoing."""
_UNDONE_VALUES = 1 << 24
"""Numbers that are undone at once."""

Parts = Iterator[NDArray[Any]]


def load_gguf_table(part: GgufPart) -> Table:
    """The input table [V, H]: mapped where it is stored as floats, else undone into float32.

    Args:
        part: the file that holds it.

    Raises:
        ModelNotFoundError: the file holds no table, or one that cannot be undone.
    """
    files, name = part.files, part.name
    tensor = part.header.tensors.get(TABLE)
    if tensor is None:
        raise ModelNotFoundError(
            f"{files.where}: {name} holds no {TABLE}: expected a language model's weights, not an "
            "adapter or a projector"
        )
    if len(tensor.shape) != 2:
        raise damaged(files.where, name, f"the table's shape {tensor.shape}, not [V, H]")
    shape = tensor.shape[0], tensor.shape[1]
    if tensor.kind in _PLAIN:
        return Span(name, tensor.start, shape, _PLAIN[tensor.kind]).load(files)
    if tensor.stop is None:
        raise _cannot_undo(f"{files.where}: {name}", f"ggml type {tensor.kind}")
    raw = files.map(name, tensor.start, tensor.stop).reshape(shape[0], -1)
    layout = f"{tensor.kind} {shape[1]}"
    parts = _undone(raw, tensor.kind, shape, f"{files.where}: {name}")
    return Table(_kept(raw, layout, shape, parts), "F32")


def _kept(
    raw: ByteArray, layout: str, shape: tuple[int, int], parts: Callable[[], Parts]
) -> NDArray[Any]:
    """The float table from the cache, under the digest of its blocks, put there if need be."""
    digest = hashlib.sha256(f"{layout} ".encode())
    digest.update(raw.data)
    path = cache_folder() / "gguf" / f"{digest.hexdigest()}.f32"
    size = 4 * shape[0] * shape[1]
    try:
        if not (path.is_file() and path.stat().st_size == size):
            write_aside(path, lambda file: [file.write(part.data) for part in parts()])
            drop_unused(path.parent, path)
        else:
            os.utime(path)
        values = map_bytes(path, 0, size)
    except OSError:  # a full or read-only disk: the table is made anew each time
        values = np.concatenate([*parts()]).view(np.uint8)
    return values.view(STORED_AS["F32"]).reshape(shape)


def _undone(raw: ByteArray, kind: int, shape: tuple[int, int], where: str) -> Callable[[], Parts]:
    """What makes the table of its blocks, in parts of whole rows, float32 [n, H]."""
    step = max(1, _UNDONE_VALUES // shape[1])

    def parts() -> Parts:
        from gguf import GGMLQuantizationType, dequantize

        known = GGMLQuantizationType(kind)
        for at in range(0, shape[0], step):
            with np.errstate(all="ignore"):  # damaged scales give inf or NaN: searches refuse them
                try:
                    made = dequantize(raw[at : at + step], known)
                except NotImplementedError as error:
                    raise _cannot_undo(where, known.name) from error
            yield np.ascontiguousarray(made, STORED_AS["F32"])

    return parts


def _cannot_undo(where: str, kind: str) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{where} stores its table as {kind}, which the gguf package does not undo: use a file of "
        "another quantisation, such as Q8_0, Q4_K_M or F16"
    )
