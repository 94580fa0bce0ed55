"""The instructions that pickles of plain data need, run without calling anything of Python's.

Codes and arguments are those of `pickletools`, Python's own description of the format. A pickle
with any instruction that is not here is refused.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable
from typing import Any

from probe.errors import PromptFormatError
from probe.formats.pickle.machine import MAX_INTEGER_BYTES, Machine, checked_key, cost
from probe.formats.pickle.values import Attributes, NumpyArray, NumpyType, Storage, Tensor


def run(machine: Machine) -> object:
    """The value of the pickle at a machine's place, which then is behind it.

    Raises:
        PromptFormatError: it is damaged, too long, or asks for more than plain data.
    """
    while not machine.stopped:
        machine.allowance.step()
        code = machine.take(1)[0]
        if code not in _INSTRUCTIONS:
            raise PromptFormatError(_unknown(code))
        read, act = _INSTRUCTIONS[code]
        act(machine, read(machine))
    if len(machine.stack) != 1:
        raise PromptFormatError("the pickle is damaged: it ends with a full stack")
    return machine.stack.pop()


def _unknown(code: int) -> str:
    names = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
    if code not in names:
        return "the pickle is damaged: it holds no instruction where one should be"
    return (
        f"the pickle uses the instruction {names[code]}; probe reads only tensors and plain "
        "containers and ran nothing"
    )


# How arguments are read, by pickletools' names for them.


def _number(machine: Machine, size: int, *, signed: bool = False) -> int:
    return int.from_bytes(machine.take(size), "little", signed=signed)


def _sized(prefix: int) -> Callable[[Machine], memoryview]:
    return lambda machine: machine.take(_number(machine, prefix))


def _long(prefix: int) -> Callable[[Machine], int]:
    def read(machine: Machine) -> int:
        size = _number(machine, prefix)
        if size > MAX_INTEGER_BYTES:
            raise PromptFormatError(f"the pickle holds an integer of {size} bytes")
        return _number(machine, size, signed=True)

    return read


def _decimal(machine: Machine) -> int | bool:
    line = machine.line().removesuffix(b"L")
    if line in (b"00", b"01"):  # how protocol 0 writes False and True
        return line == b"01"
    if len(line) > MAX_INTEGER_BYTES:
        raise PromptFormatError(f"the pickle holds an integer of {len(line)} digits")
    return int(line)


def _float(machine: Machine) -> float:
    line = machine.line()
    if len(line) > MAX_INTEGER_BYTES:
        raise PromptFormatError(f"the pickle holds a number of {len(line)} digits")
    return float(line)


def _quoted(machine: Machine) -> str:
    """A text as Python 2 wrote it, in quotes and with escapes."""
    line = machine.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise PromptFormatError("the pickle is damaged: a text without quotes")
    return _latin(machine, _ESCAPE.sub(_unescaped, line[1:-1]))


_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b"'": b"'", b'"': b'"'}


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """The escapes that Python 2's repr makes; `codecs.escape_decode` warns of any other."""
    what = escape[1]
    if len(what) == 3:
        return bytes.fromhex(what[1:].decode())
    if what not in _ESCAPES:
        raise PromptFormatError("the pickle is damaged: an unknown escape in a text")
    return _ESCAPES[what]


def _latin(machine: Machine, data: memoryview | bytes) -> str:
    """Bytes of Python 2, each its own character."""
    return machine.text(bytes(data).decode("latin-1").encode())


def _name_pair(machine: Machine) -> tuple[str, str]:
    return machine.text(machine.line()), machine.text(machine.line())


_READ: dict[str, Callable[[Machine], Any]] = {
    "uint1": lambda machine: _number(machine, 1),
    "uint2": lambda machine: _number(machine, 2),
    "uint4": lambda machine: _number(machine, 4),
    "uint8": lambda machine: _number(machine, 8),
    "int4": lambda machine: _number(machine, 4, signed=True),
    "long1": _long(1),
    "long4": _long(4),
    "decimalnl_short": _decimal,
    "decimalnl_long": _decimal,
    "float8": lambda machine: struct.unpack(">d", machine.take(8))[0],
    "floatnl": _float,
    "stringnl": _quoted,
    "string1": lambda machine: _latin(machine, _sized(1)(machine)),
    "string4": lambda machine: _latin(machine, _sized(4)(machine)),
    "bytes1": _sized(1),
    "bytes4": _sized(4),
    "bytes8": _sized(8),
    "bytearray8": _sized(8),
    "unicodestringnl": lambda machine: machine.text(
        machine.line().decode("raw-unicode-escape").encode()
    ),
    "unicodestring1": lambda machine: machine.text(_sized(1)(machine)),
    "unicodestring4": lambda machine: machine.text(_sized(4)(machine)),
    "unicodestring8": lambda machine: machine.text(_sized(8)(machine)),
    "stringnl_noescape_pair": _name_pair,
}


def _nothing(_: Machine) -> None:
    """The argument of instructions that have none."""


# What instructions do, by pickletools' names for them.


def _push(machine: Machine, value: Any) -> None:
    machine.stack.append(value)


def _ignore(_: Machine, __: object) -> None:
    """Skip what only speeds up other readers."""


def _push_bytes(machine: Machine, value: memoryview) -> None:
    machine.allowance.budget.take(len(value), "the pickle")
    machine.stack.append(bytes(value))


def _append(machine: Machine, _: None) -> None:
    item = machine.pop()
    machine.top(list).append(item)


def _appends(machine: Machine, _: None) -> None:
    items = machine.pop_mark()
    machine.top(list).extend(items)


def _tuple_of(count: int) -> Callable[[Machine, None], None]:
    def run(machine: Machine, _: None) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.container(tuple(reversed(items)))

    return run


def _dict(machine: Machine, _: None) -> None:
    items = machine.pop_mark()
    machine.container({})
    machine.set_items(machine.stack[-1], items)


def _set_item(machine: Machine, _: None) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items(machine.top(dict), [key, value])


def _set_items(machine: Machine, _: None) -> None:
    items = machine.pop_mark()
    machine.set_items(machine.top(dict), items)


def _add_items(machine: Machine, _: None) -> None:
    items = machine.pop_mark()
    machine.top(set).update(checked_key(item) for item in items)


def _get(machine: Machine, index: int) -> None:
    if index not in machine.memo:
        raise PromptFormatError("the pickle is damaged: it refers to what it never stored")
    machine.stack.append(machine.memo[index])


def _put(machine: Machine, index: int) -> None:
    machine.memo[index] = machine.top(object)


def _stack_global(machine: Machine, _: None) -> None:
    name, module = machine.pop(), machine.pop()
    machine.stack.append(machine.find(module, name))


def _instance(machine: Machine, names: tuple[str, str]) -> None:
    symbol = machine.find(*names)
    machine.container(machine.call(symbol, tuple(machine.pop_mark())))


def _object(machine: Machine, _: None) -> None:
    items = machine.pop_mark()
    machine.container(machine.call(items[0] if items else None, tuple(items[1:])))


def _reduce(machine: Machine, _: None) -> None:
    arguments, symbol = machine.pop(), machine.pop()
    machine.container(machine.call(symbol, arguments))


def _build(machine: Machine, _: None) -> None:
    """Set an object's state: an array's numbers, a record's attributes.

    Attributes of containers and tensors (`_metadata` of a state dict) are left out: they say
    nothing about the numbers.
    """
    state = machine.pop()
    machine.allowance.step(cost((state, *state) if isinstance(state, tuple) else (state,)))
    match machine.top((dict, NumpyArray, NumpyType, Tensor, Storage)):
        case NumpyArray() as array:
            array.set_state(state, machine.allowance.budget)
        case NumpyType() as dtype:
            dtype.set_state(state)
        case Attributes() as attributes if isinstance(state, dict):
            attributes.update(state)


_RUN: dict[str, Callable[[Machine, Any], object]] = {
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), _push),
    **dict.fromkeys(("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"), _push),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _push_bytes),
    "NONE": _push,
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_LIST": lambda machine, _: machine.container([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "EMPTY_DICT": lambda machine, _: machine.container({}),
    "EMPTY_SET": lambda machine, _: machine.container(set()),
    "LIST": lambda machine, _: machine.container(machine.pop_mark()),
    "TUPLE": lambda machine, _: machine.container(tuple(machine.pop_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "DICT": _dict,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "ADDITEMS": _add_items,
    "FROZENSET": lambda machine, _: machine.container(
        frozenset(checked_key(item) for item in machine.pop_mark())
    ),
    "POP": lambda machine, _: machine.pop(),
    "DUP": lambda machine, _: machine.stack.append(machine.top(object)),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    "MEMOIZE": lambda machine, _: _put(machine, len(machine.memo)),
    "GLOBAL": lambda machine, names: machine.stack.append(machine.find(*names)),
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    "OBJ": _object,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,  # the table says what the names stand for, made or called
    "BUILD": _build,
    "BINPERSID": lambda machine, _: machine.container(machine.persistent(machine.pop())),
    **dict.fromkeys(("PROTO", "FRAME"), _ignore),
    "STOP": lambda machine, _: setattr(machine, "stopped", True),
}
_INSTRUCTIONS: dict[int, tuple[Callable[[Machine], Any], Callable[[Machine, Any], object]]] = {
    ord(opcode.code): (_READ[opcode.arg.name] if opcode.arg else _nothing, _RUN[opcode.name])
    for opcode in pickletools.opcodes
    if opcode.name in _RUN
}
