"""The state of a pickle being read, and how much it may still ask for.

Globals are looked up in a table of names and become `Symbol`s: no module is imported, no class
made, no attribute read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.errors import PromptFormatError
from probe.formats.containers.limits import Budget
from probe.formats.pickle.values import QuantisedError, Symbol

MAX_STEPS = 400_000
"""Opcodes of all pickles in one file; a checkpoint with optimiser state has some 100,000."""
MAX_TEXT_BYTES = 16_000_000
"""Longest text in a pickle. A text can take four times its bytes."""
MAX_INTEGER_BYTES = 64
"""Longest integer in a pickle; the longest in a checkpoint is a random state of 16 bytes."""
_CONTAINER_BYTES = 200
"""What an empty set, the largest of the empty containers, takes."""
_CONTAINER_STEPS = 2
"""Further opcodes that making and later walking through a container takes as long as."""

Call = Callable[[tuple[Any, ...], "Allowance"], object]
"""What stands for a Python callable: arguments in, plain data out."""


@dataclass
class Allowance:
    """What the pickles of one file may still use."""

    budget: Budget
    load: Callable[[bytes, Allowance], object]
    """Reads a pickle within the pickle."""
    steps: int = MAX_STEPS
    nesting: int = 3
    """Pickles within pickles; a pickled tensor has one."""

    def step(self, count: int = 1) -> None:
        """Count opcodes.

        Raises:
            PromptFormatError: there are more than any prompt file needs.
        """
        self.steps -= count
        if self.steps < 0:
            raise PromptFormatError(f"the pickle has more than {MAX_STEPS:,} instructions")


@dataclass
class Machine:
    """One pickle in a buffer: where reading is, the stack, its marks and the memo."""

    data: bytes
    allowance: Allowance
    calls: Mapping[Symbol, Call | None]
    """Every name a pickle may ask for; None for those that are data and cannot be called."""
    persistent: Callable[[Any], object]
    """Resolves persistent ids: torch's storages."""
    place: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    stopped: bool = False

    def take(self, size: int) -> memoryview:
        """The next bytes."""
        found = memoryview(self.data)[self.place : self.place + size]
        if len(found) < size:
            raise PromptFormatError("the pickle is cut short")
        self.place += size
        return found

    def line(self) -> bytes:
        """The next bytes up to the end of the line, which is left out."""
        end = self.data.find(b"\n", self.place, self.place + MAX_TEXT_BYTES)
        if end < 0:
            raise PromptFormatError("the pickle is cut short, or holds too long a line")
        line, self.place = self.data[self.place : end], end + 1
        return line

    def pop(self) -> Any:
        """The top of the stack."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise PromptFormatError("the pickle is damaged: it takes more than it has")
        return self.stack.pop()

    def top(self, kind: type | tuple[type, ...]) -> Any:
        """The top of the stack, left there, which must be of a kind."""
        value = self.pop()
        self.stack.append(value)
        if not isinstance(value, kind):
            raise PromptFormatError(f"the pickle is damaged: it fills {_article(value)}")
        return value

    def pop_mark(self) -> list[Any]:
        """Everything above the last mark."""
        if not self.marks:
            raise PromptFormatError("the pickle is damaged: a mark is missing")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def call(self, symbol: object, arguments: object) -> object:
        """What an allowed name stands for, given arguments."""
        function = self.calls.get(symbol) if isinstance(symbol, Symbol) else None
        if function is None or not isinstance(arguments, tuple):
            raise PromptFormatError(
                f"the pickle calls {_article(symbol)}; probe reads only tensors and plain "
                "containers and ran nothing"
            )
        self.allowance.step(cost(arguments))
        return function(arguments, self.allowance)

    def find(self, module: object, name: object) -> Symbol:
        """The symbol of a name in the table."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise PromptFormatError("the pickle is damaged: a name that is no text")
        symbol = Symbol(_RENAMED.get(module, module), name)
        if symbol.is_quantised:
            raise QuantisedError(symbol)
        if symbol not in self.calls:
            raise PromptFormatError(
                f"the pickle asks for {ascii(f'{module}.{name}'[:100])[1:-1]}; probe reads only "
                "tensors and plain containers and ran nothing"
            )
        return symbol

    def container(self, value: Any) -> None:
        """Push a new container."""
        self.allowance.step(_CONTAINER_STEPS)
        self.allowance.budget.take(_CONTAINER_BYTES, "the pickle")
        self.stack.append(value)

    def text(self, data: memoryview | bytes) -> str:
        """A UTF-8 text."""
        if len(data) > MAX_TEXT_BYTES:
            raise PromptFormatError(f"the pickle holds a text of {len(data):,} bytes")
        text = str(data, "utf-8")
        self.allowance.budget.take(len(data) if text.isascii() else 4 * len(text), "the pickle")
        return text

    def set_items(self, target: dict[Any, Any], items: list[Any]) -> None:
        """Add keys and values, which alternate, to a dict."""
        if len(items) % 2:
            raise PromptFormatError("the pickle is damaged: a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value


def checked_key(key: Any) -> Any:
    """A key of a dict or item of a set.

    Kinds are few because some values can be chosen to hash alike, which makes a dict of them
    quadratically slow: large integers, and tuples of numbers.

    Raises:
        PromptFormatError: the key is of another kind.
    """
    plain = key is None or isinstance(key, str | bytes | float)
    small = isinstance(key, int) and abs(key) < 2**60
    texts = isinstance(key, tuple) and len(key) < 9 and all(isinstance(item, str) for item in key)
    if not (plain or small or texts):
        raise PromptFormatError(
            f"the pickle uses {_article(key)} as a key, expected texts and numbers"
        )
    return key


def cost(arguments: tuple[Any, ...]) -> int:
    """Items a call may look at: one container can be the argument of thousands of calls."""
    sizes = [len(a) for a in arguments if isinstance(a, list | tuple | dict | set | frozenset)]
    return len(arguments) + sum(sizes)


_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # their names in Python 2


def _article(value: object) -> str:
    if isinstance(value, Symbol):
        return ascii(str(value)[:100])[1:-1]
    return f"a value of type {type(value).__name__}"
