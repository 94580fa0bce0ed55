"""safetensors and npy: headers are checked against the bytes before anything is allocated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.containers.dtypes import NUMPY_NAMES, Layout, column_strides, read_array
from probe.formats.containers.json_yaml import read_json
from probe.formats.containers.limits import MAX_DOCUMENT_BYTES, Budget

_SAFETENSORS_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_NPY_DTYPES = {**NUMPY_NAMES, "V2": "bfloat16"}  # numpy calls others' bfloat16 V2
_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER_BYTES = 4096
_NPY_FIELD = re.compile(
    r"'(descr|fortran_order|shape)':\s*('[^']{1,8}'|True|False|\((?:\d{1,19}L?,?\s*){0,32}\))"
)


def read_safetensors(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Tensors by name (floats as float32) and the header's string metadata.

    Raises:
        PromptFormatError: the file is cut short or damaged, or holds other numbers.
    """
    size = header_bytes(data[:8], len(data))
    if size > MAX_DOCUMENT_BYTES:
        raise PromptFormatError(f"safetensors: a header of {size:,} bytes, a prompt's is small")
    header = read_json(data[8 : 8 + size])
    if not isinstance(header, dict):
        raise PromptFormatError("safetensors: expected a header with one entry per tensor")
    metadata = header.pop("__metadata__", None) or {}
    body, budget = memoryview(data)[8 + size :], Budget(len(data))
    entries = {name: tensor_entry(name, entry) for name, entry in header.items()}
    _require_tiles(sorted((one.start, one.stop) for one in entries.values()), len(body))
    tensors = {name: _tensor(name, entry, body, budget) for name, entry in entries.items()}
    return tensors, _strings(metadata)


@dataclass(frozen=True)
class TensorEntry:
    """One tensor, as a safetensors header describes it."""

    dtype: str
    """As the format spells it: F32, BF16, …"""
    shape: tuple[int, ...]
    start: int
    """First of its bytes, counted from the end of the header."""
    stop: int


def header_bytes(first: bytes, size: int) -> int:
    """How long the JSON header is that follows the first 8 bytes.

    Args:
        first: these bytes, as many as there are.
        size: of the file, in bytes.

    Raises:
        PromptFormatError: the file is shorter.
    """
    length = int.from_bytes(first, "little")
    if not 2 <= length <= size - 8:
        raise PromptFormatError(
            f"safetensors: expected a header of {length} bytes, the file has {size}: it is cut "
            "short or damaged"
        )
    return length


def tensor_entry(name: str, entry: object) -> TensorEntry:
    """What the header says under a tensor's name.

    Raises:
        PromptFormatError: it lacks dtype, shape or offsets, or they are not counts.
    """
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [start, stop]}:
            counts = all(type(number) is int and number >= 0 for number in (*shape, start, stop))
            if counts and start <= stop:
                return TensorEntry(dtype, tuple(shape), start, stop)
    raise PromptFormatError(
        f"safetensors: {name[:80]!r} has no valid dtype, shape and data_offsets in the header"
    )


def _require_tiles(spans: list[tuple[int, int]], size: int) -> None:
    """The format wants every byte in exactly one tensor."""
    end = 0
    for start, stop in spans:
        if start != end:
            raise PromptFormatError("safetensors: its tensors overlap or leave holes: damaged")
        end = stop
    if end != size:
        raise PromptFormatError(
            f"safetensors: expected {end} bytes of tensors, found {size}: cut short or damaged"
        )


def _tensor(name: str, entry: TensorEntry, body: memoryview, budget: Budget) -> NDArray[Any]:
    if entry.dtype not in _SAFETENSORS_DTYPES:
        raise PromptFormatError(
            f"safetensors: {name[:80]!r} holds {entry.dtype[:20]!r}, expected one of "
            f"{', '.join(_SAFETENSORS_DTYPES)}"
        )
    layout = Layout(_SAFETENSORS_DTYPES[entry.dtype], entry.shape)
    if layout.span * layout.itemsize != entry.stop - entry.start:
        raise PromptFormatError(
            f"safetensors: {name[:80]!r} is {entry.dtype} {list(entry.shape)} but has "
            f"{entry.stop - entry.start} bytes: damaged"
        )
    return read_array(body[entry.start : entry.stop], layout, budget, what=f"tensor {name[:80]!r}")


def _strings(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise PromptFormatError("safetensors: expected metadata that maps text to text")
    return metadata


def read_npy(data: bytes) -> NDArray[Any]:
    """The array of an `.npy` file: floats as float32, `V2` taken for bfloat16.

    The header is that of numpy.lib.format (versions 1 to 3); its text is matched, never evaluated.

    Raises:
        PromptFormatError: the file is cut short, or holds objects, structures or text.
    """
    fields, start = _npy_header(data)
    order, code = fields["descr"][1:-1][:1], fields["descr"][1:-1].lstrip("<>|=")
    if code not in _NPY_DTYPES:
        raise PromptFormatError(
            f"npy: expected an array of numbers (float16, float32, float64, V2 for bfloat16 or "
            f"integers), found {fields['descr'][:40]}"
        )
    shape = tuple(int(length) for length in re.findall(r"\d+", fields["shape"]))
    strides = column_strides(shape) if fields["fortran_order"] == "True" else None
    layout = Layout(_NPY_DTYPES[code], shape, strides, big_endian=order == ">")
    return read_array(memoryview(data)[start:], layout, Budget(len(data)), what="npy: an array")


def _npy_header(data: bytes) -> tuple[dict[str, str], int]:
    """The header's fields as text, and where the numbers start."""
    wide = 2 if data[6:7] == b"\x01" else 4
    size = int.from_bytes(data[8 : 8 + wide], "little")
    start = 8 + wide + size
    if data[:6] != _NPY_MAGIC or data[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise PromptFormatError("npy: expected a numpy array of format 1, 2 or 3")
    if size > _NPY_HEADER_BYTES or start > len(data):
        raise PromptFormatError(
            f"npy: a header of {size} bytes in a file of {len(data)}: cut short, damaged, or no "
            "plain array of numbers"
        )
    text = data[8 + wide : start].decode("latin-1")
    fields = dict(_NPY_FIELD.findall(text))
    if len(fields) != 3:
        raise PromptFormatError(
            f"npy: expected a plain array of numbers, found the header {text.strip()[:100]!r}"
        )
    return fields, start
