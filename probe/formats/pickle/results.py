"""From what a pickle built to plain data: tensors as arrays, and a tree that ends."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.containers.dtypes import Layout
from probe.formats.containers.limits import MAX_NESTING, Budget
from probe.formats.pickle.values import NumpyArray, NumpyType, Storage, Symbol, Tensor

MAX_PARTS = 1_000_000
"""Values in a pickle when what is referred to twice counts twice, as whoever walks it will see."""


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
            return _leaf(value), 1, 0
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


def _leaf(value: object) -> object:
    return str(value) if isinstance(value, Symbol | NumpyType) else value
