"""Numbers as files store them: bfloat16 and 8-bit floats included, all floats read as float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.arrays import Float32Array
from probe.errors import PromptFormatError
from probe.formats.containers.limits import Budget

MAX_DIMENSIONS = 32
"""The most dimensions that every numpy release can hold."""

RAW: Mapping[str, str] = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",
    "float8_e4m3fn": "u1",
    "float8_e4m3fnuz": "u1",
    "float8_e5m2": "u1",
    "float8_e5m2fnuz": "u1",
    "float8_e8m0fnu": "u1",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "u1",
}
"""Every dtype that is read, by the name torch gives it, and the numpy code of its raw bytes."""
NUMPY_NAMES: Mapping[str, str] = {
    **{f"f{size}": f"float{8 * size}" for size in (2, 4, 8)},
    **{f"i{size}": f"int{8 * size}" for size in (1, 2, 4, 8)},
    **{f"u{size}": f"uint{8 * size}" for size in (1, 2, 4, 8)},
    "b1": "bool",
}
"""The keys of `RAW` that numpy has itself, by numpy's code."""
_AS_THEY_ARE = {name for name in RAW if "int" in name} | {"float32"}
_MOST_NUMBERS = 2**40


def itemsize(dtype: str) -> int:
    """Bytes of one number of a dtype, a key of `RAW`."""
    return np.dtype(RAW[dtype]).itemsize


@dataclass(frozen=True)
class Layout:
    """Where the numbers of one array lie in a buffer, counted in elements."""

    dtype: str
    """A key of `RAW`."""
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    """None: rows one after the other, as in C."""
    offset: int = 0
    big_endian: bool = False

    def __post_init__(self) -> None:
        """Check the numbers, which come from the file.

        Raises:
            PromptFormatError: they are not lengths, or not as many strides as lengths.
        """
        strides = self.strides if self.strides is not None else self.shape
        numbers = (*self.shape, *strides, self.offset)
        if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise PromptFormatError("an array's shape, strides and offset must be counts ≥ 0")
        if len(strides) != len(self.shape) or len(self.shape) > MAX_DIMENSIONS:
            raise PromptFormatError(
                f"an array of {len(self.shape)} dimensions and {len(strides)} strides: expected "
                f"as many strides as dimensions, at most {MAX_DIMENSIONS}"
            )
        if prod(max(length, 1) for length in self.shape) > _MOST_NUMBERS:
            raise PromptFormatError(
                f"an array of {list(self.shape)} numbers is larger than any prompt"
            )

    @property
    def itemsize(self) -> int:
        """Bytes of one number."""
        return itemsize(self.dtype)

    @property
    def span(self) -> int:
        """Elements from the start of the buffer to the last one that is read."""
        if 0 in self.shape:
            return 0
        if self.strides is None:
            return self.offset + prod(self.shape)
        steps = zip(self.shape, self.strides, strict=True)
        return self.offset + sum((length - 1) * stride for length, stride in steps) + 1


def read_array(
    data: memoryview | bytes, layout: Layout, budget: Budget, *, what: str = "an array"
) -> NDArray[Any]:
    """An array of a buffer: floats as float32, other numbers as they are.

    Float32 in C order stays a view of the buffer; anything else is copied within the budget.

    Raises:
        PromptFormatError: the buffer is shorter than the layout says, or the copy too large.
    """
    if layout.span * layout.itemsize > len(data):
        raise PromptFormatError(
            f"{what} of {layout.dtype} {list(layout.shape)} needs {layout.span * layout.itemsize} "
            f"bytes, found {len(data)}: the file is cut short or damaged"
        )
    raw_type = np.dtype(RAW[layout.dtype]).newbyteorder(">" if layout.big_endian else "<")
    if 0 in layout.shape:
        return _decode(np.zeros(layout.shape, raw_type), layout.dtype)
    start, count = layout.offset * layout.itemsize, layout.span - layout.offset
    raw = _strided(np.frombuffer(data, raw_type, count, start), layout)
    if not raw.flags.c_contiguous or not raw.dtype.isnative or layout.dtype not in _AS_THEY_ARE:
        budget.take(prod(layout.shape) * max(4, layout.itemsize), what)
    return _decode(raw, layout.dtype)


def column_strides(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """Strides, in elements, of an array in Fortran order."""
    return tuple(prod(shape[:axis]) for axis in range(len(shape)))


def _strided(flat: NDArray[Any], layout: Layout) -> NDArray[Any]:
    if layout.strides is None:
        return flat.reshape(layout.shape)
    size = flat.dtype.itemsize
    steps = [stride * size for stride in layout.strides]
    return np.lib.stride_tricks.as_strided(flat, layout.shape, steps, writeable=False)


def _decode(raw: NDArray[Any], dtype: str) -> NDArray[Any]:
    if dtype == "bool":
        return np.asarray(raw != 0, order="C")
    if dtype == "bfloat16":
        wide = raw.astype(np.uint32, order="C")
        wide <<= 16
        return wide.view(np.float32)
    if dtype.startswith("float8"):
        return _eight_bit_values(dtype).take(raw)
    native = raw.dtype.newbyteorder("=") if dtype in _AS_THEY_ARE else np.dtype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # readers refuse what becomes infinite
        return np.asarray(raw, dtype=native, order="C")


@cache
def _eight_bit_values(dtype: str) -> Float32Array:
    """The value of every code of an 8-bit float, [256].

    Formats as in Micikevicius et al. 2022 (arXiv 2209.05433); `fnuz` as in Noune et al. 2022
    (arXiv 2206.02915): no negative zero, no infinities, one more in the exponent's bias.
    """
    codes = np.arange(256)
    if dtype == "float8_e8m0fnu":
        values = np.ldexp(1.0, codes - 127)
        values[255] = np.nan
        return np.asarray(values, np.float32)
    mantissa_bits = 3 if "e4m3" in dtype else 2
    unsigned = dtype.endswith("fnuz")
    bias = 2 ** (6 - mantissa_bits) - 1 + unsigned
    exponent, mantissa = (codes & 127) >> mantissa_bits, codes & (2**mantissa_bits - 1)
    fraction = np.where(exponent > 0, 2**mantissa_bits, 0) + mantissa
    values = np.ldexp(fraction.astype(float), np.maximum(exponent, 1) - bias - mantissa_bits)
    values = np.where(codes < 128, values, -values)
    if unsigned:
        values[128] = np.nan
    elif dtype == "float8_e4m3fn":
        values[[127, 255]] = np.nan
    else:
        top = exponent == 31
        values[top & (mantissa > 0)] = np.nan
        values[top & (mantissa == 0)] *= np.inf
    return np.asarray(values, np.float32)
