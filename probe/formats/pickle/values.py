"""What stands in a pickle for things that only a running program would have."""

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
from probe.formats.containers.limits import Budget


@dataclass(frozen=True)
class Symbol:
    """A name that a pickle asks for, such as `torch.float16`. It is never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        """The dotted name, as messages and results show it."""
        return f"{self.module}.{self.name}"


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
