"""What stands in a pickle for things that only a running program would have, and its plain form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.containers.dtypes import (
    NUMPY_NAMES,
    Layout,
    column_strides,
    itemsize,
    read_array,
)
from probe.formats.containers.limits import MAX_NESTING, Budget

_QUANTISED = ("qint8", "quint8", "qint32", "quint4x2", "quint2x4", "_rebuild_qtensor")
"""What torch names where it pickles a tensor of few bits, with its scales."""
MAX_PARTS = 1_000_000
"""Values in a pickle when what is referred to twice counts twice, as whoever walks it will see."""


@dataclass(frozen=True)
class Symbol:
    """A name that a pickle asks for, such as `torch.float16`. It is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        """The dotted name, as messages and results show it."""
        return f"{self.module}.{self.name}"

    @property
    def is_quantised(self) -> bool:
        """Whether it stands for the numbers of torch's own quantisation."""
        return self.module in ("torch", "torch._utils") and self.name in _QUANTISED


class QuantisedError(PromptFormatError):
    """A pickle holds tensors that torch quantised."""

    def __init__(self, symbol: Symbol) -> None:
        super().__init__(
            f"its tensors are quantised ({symbol}): expected float64, float32, float16 or "
            "bfloat16; save it as it was before quantisation"
        )


class Attributes(dict[str, Any]):
    """The attributes of a plain record such as `argparse.Namespace`."""


@dataclass(eq=False)
class Storage:
    """A torch storage: a run of numbers that tensors are views of."""

    dtype: str
    """A key of `RAW`."""
    size: int
    """In elements."""
    data: memoryview | None
    """None until the bytes after a legacy pickle are read."""
    big_endian: bool = False

    def __post_init__(self) -> None:
        """Check the size, which comes from the file."""
        if type(self.size) is not int or self.size < 0:
            raise PromptFormatError("the pickle is damaged: a storage without a size")

    @property
    def nbytes(self) -> int:
        """Bytes that its numbers take."""
        return self.size * itemsize(self.dtype)


@dataclass(eq=False)
class Tensor:
    """A torch tensor: a strided view of a storage."""

    storage: Storage
    layout: Layout

    def array(self, budget: Budget) -> NDArray[Any]:
        """Its numbers.

        Raises:
            PromptFormatError: the storage is too short for it.
        """
        size = self.storage.nbytes
        if self.storage.data is None or len(self.storage.data) < size:
            raise PromptFormatError(
                f"a storage of {self.storage.size} {self.storage.dtype} numbers is cut short"
            )
        return read_array(self.storage.data[:size], self.layout, budget, what="a tensor")


@dataclass(eq=False)
class NumpyType:
    """A numpy dtype: its code, and the byte order its state adds."""

    code: str
    big_endian: bool = False

    @property
    def name(self) -> str:
        """A key of `RAW`.

        Raises:
            PromptFormatError: the dtype is not one of plain numbers.
        """
        if self.code not in NUMPY_NAMES:
            raise PromptFormatError(
                f"expected arrays of numbers, found the numpy dtype {self.code[:20]!r}"
            )
        return NUMPY_NAMES[self.code]

    def set_state(self, state: object) -> None:
        """Take the byte order of `numpy.dtype.__setstate__`'s tuple.

        Raises:
            PromptFormatError: the state says the dtype has fields.
        """
        match state:
            case (int(), ("<" | ">" | "|" | "=") as order, None, None, None, *_):
                self.big_endian = order == ">"
            case _:
                raise PromptFormatError("expected a numpy dtype of plain numbers")


@dataclass(eq=False)
class NumpyArray:
    """A numpy array, empty until its state is set."""

    value: NDArray[Any] | None = None

    def set_state(self, state: object, budget: Budget) -> None:
        """Take the tuple of `numpy.ndarray.__setstate__`: version, shape, dtype, order, bytes.

        Raises:
            PromptFormatError: the array holds objects, or fewer bytes than its shape says.
        """
        match state:
            case (int(), tuple(shape), NumpyType() as dtype, bool(fortran), data):
                self.value = numpy_array(data, dtype, shape, fortran=fortran, budget=budget)
            case _:
                raise PromptFormatError("expected a numpy array of plain numbers")


def numpy_array(
    data: object, dtype: NumpyType, shape: tuple[Any, ...], *, fortran: bool, budget: Budget
) -> NDArray[Any]:
    """The array of a pickled numpy array's parts.

    Raises:
        PromptFormatError: they do not fit together.
    """
    if isinstance(data, str):  # as Python 2 pickled bytes
        data = data.encode("latin-1")
    if not isinstance(data, bytes):
        raise PromptFormatError("expected a numpy array of plain numbers, found one of objects")
    strides = column_strides(shape) if fortran else None
    layout = Layout(dtype.name, shape, strides, big_endian=dtype.big_endian)
    return read_array(data, layout, budget, what="a numpy array")


def plain(value: object, budget: Budget) -> object:
    """The same value of plain containers, texts, numbers and arrays.

    Raises:
        PromptFormatError: it contains itself, is nested too deeply, or has too many parts.
    """
    return _Plain(budget).value(value, 0)[0]


_Sized = tuple[Any, int, int]
"""A value with the number of its parts and the depth of its nesting."""


class _Plain:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._done: dict[int, _Sized] = {}
        self._open: set[int] = set()
        self._arrays: dict[tuple[Any, ...], NDArray[Any]] = {}

    def value(self, value: object, level: int) -> _Sized:
        """A value's plain form; one that is shared is converted once and stays shared."""
        if not isinstance(value, dict | list | tuple | Tensor | Storage | NumpyArray):
            return (str(value) if isinstance(value, Symbol | NumpyType) else value), 1, 0
        known = self._done.get(id(value))
        if known is None:
            if id(value) in self._open:
                raise PromptFormatError("the pickle is damaged: a container contains itself")
            self._open.add(id(value))
            known = self._convert(value, level)
            self._open.discard(id(value))
            self._done[id(value)] = known
        _, parts, depth = known
        if parts > MAX_PARTS or level + depth > MAX_NESTING:
            raise PromptFormatError(
                f"the pickle unfolds to more than {MAX_PARTS:,} values or {MAX_NESTING} levels"
            )
        return known

    def _convert(self, value: Any, level: int) -> _Sized:
        if level > MAX_NESTING:
            raise PromptFormatError(f"the pickle is nested more than {MAX_NESTING} levels deep")
        match value:
            case dict():
                items = [self.value(item, level + 1) for item in value.values()]
                result: Any = dict(zip(value, (item[0] for item in items), strict=True))
            case list() | tuple():
                items = [self.value(item, level + 1) for item in value]
                result = type(value)(item[0] for item in items)
            case _:
                return self._array(value), 1, 0
        parts = 1 + sum(item[1] for item in items)
        return result, parts, 1 + max((item[2] for item in items), default=0)

    def _array(self, value: Tensor | Storage | NumpyArray) -> NDArray[Any]:
        match value:
            case NumpyArray(array):
                if array is None:
                    raise PromptFormatError("the pickle is damaged: a numpy array without numbers")
                return array
            case Storage():
                layout = Layout(value.dtype, (value.size,), big_endian=value.big_endian)
                return self._array(Tensor(value, layout))
            case Tensor():
                key = (id(value.storage.data), value.storage.size, value.layout)
                if key not in self._arrays:
                    self._arrays[key] = value.array(self._budget)
                return self._arrays[key]
