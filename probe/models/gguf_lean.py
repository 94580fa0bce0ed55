"""A GGUF model without its vocabulary, as transformers takes a tenth of the time to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter

from probe.errors import ModelNotFoundError
from probe.tables.files import map_bytes
from probe.tables.gguf_files import TABLE, GgufPart, part_with
from probe.tables.gguf_header import GgufTensor

_LEFT_OUT = ("general.architecture", "general.alignment")  # what the writer writes itself
_ARRAYS = {"f": GGUFValueType.FLOAT64, "i": GGUFValueType.INT64, "u": GGUFValueType.UINT64}
_SCALARS = {
    bool: GGUFValueType.BOOL,
    int: GGUFValueType.INT64,
    float: GGUFValueType.FLOAT64,
    str: GGUFValueType.STRING,
}


def write_lean(parts: Sequence[GgufPart], where: str, target: Path) -> None:
    """Write all tensors of a GGUF model and what its metadata says beside the vocabulary.

    The `gguf` package makes several objects of every string: of the ten seconds that transformers
    takes for a small model, eight would go into tokens and merges that it needs no more. And it
    never sees the file that somebody else made, only what our reader has checked.

    Raises:
        ModelNotFoundError: a tensor is of a type that the `gguf` package does not know.
    """
    header = parts[0].header
    writer = GGUFWriter(target, header.architecture)
    for key, value in header.metadata.items():
        if key not in _LEFT_OUT and not _is_left_out(key, value):
            _add(writer, key, value)
    table = part_with(parts[0], TABLE).header.tensors[TABLE]
    _add_size(writer, header.architecture, table.shape[0])
    for part in parts:
        file = part.files.whole(part.name)
        for name, tensor in part.header.tensors.items():
            kind = _known(tensor, name, where)
            writer.add_tensor(name, _stored(file, tensor), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_size(writer: GGUFWriter, architecture: str, rows: int) -> None:
    """The number of tokens where transformers' newer reader, which counts them, looks for it."""
    try:
        from transformers.integrations.gguf import (  # type: ignore[attr-defined]
            GGUF_CONFIG_ARCHS,
        )
    except ImportError:
        return
    if architecture in GGUF_CONFIG_ARCHS:
        writer.add_uint32("tokenizer.ggml.tokens", rows)


def _is_left_out(key: str, value: object) -> bool:
    """Whether an entry is part of the vocabulary, or says how the model was split."""
    if key.startswith("split."):
        return True
    return key.startswith("tokenizer.") and not isinstance(value, (int, float, bool))


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, list):
        if value:  # the writer knows no empty arrays
            writer.add_key_value(key, value, GGUFValueType.ARRAY, GGUFValueType.STRING)
    elif isinstance(value, np.ndarray):
        if value.size:
            kind = _ARRAYS[value.dtype.kind]
            writer.add_key_value(key, value.tolist(), GGUFValueType.ARRAY, kind)
    elif type(value) is int and value >= 1 << 63:
        writer.add_uint64(key, value)
    else:
        writer.add_key_value(key, value, _SCALARS[type(value)])


def _known(tensor: GgufTensor, name: str, where: str) -> GGMLQuantizationType:
    """The type that a tensor is stored as."""
    if tensor.stop is None:
        raise ModelNotFoundError(
            f"{where} stores {name[:60]} as ggml type {tensor.kind}, which the gguf package does "
            "not know: to run it use a file of another quantisation, such as Q8_0 or Q4_K_M"
        )
    return GGMLQuantizationType(tensor.kind)


def _stored(file: Path, tensor: GgufTensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A tensor's bytes, each row of blocks a row."""
    assert tensor.stop is not None
    raw = map_bytes(file, tensor.start, tensor.stop)
    return raw.reshape(*tensor.shape[:-1], -1)
