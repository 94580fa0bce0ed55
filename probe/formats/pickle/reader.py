"""The one reader of everything pickled: torch's files, pickled arrays, pickles in JSON and tars.

It imports neither torch nor pickle. Layouts of torch.save (torch/serialization.py): a zip of
`data.pkl` and one member per storage; before that, pickles in a row and then the storages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from probe.errors import PromptFormatError
from probe.formats.containers.dtypes import itemsize
from probe.formats.containers.limits import Budget
from probe.formats.containers.zip import Member, open_zip
from probe.formats.pickle.allowed import NAMES, STORAGE_DTYPES
from probe.formats.pickle.machine import Allowance, Machine
from probe.formats.pickle.opcodes import run
from probe.formats.pickle.values import Storage, Symbol, plain

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_PICKLE_BYTES = 32_000_000
DAMAGE = (
    ValueError,
    TypeError,
    OverflowError,
    KeyError,
    IndexError,
    struct.error,
    MemoryError,
    RecursionError,
)
"""What Python raises on bytes that no writer makes."""


def read_pickle(data: bytes) -> object:
    """The plain value of a torch file or pickle; nothing in it is executed or imported.

    Returns:
        dict, list, tuple, set, str, bytes, numbers, None and read-only numpy arrays (floats as
        float32, integers and bools as they are). Records become dicts; dtypes, devices and paths
        become texts.

    Raises:
        PromptFormatError: it asks for anything else, is damaged, or larger than any prompt file.
    """
    allowance = Allowance(Budget(len(data)), load=_read)
    try:
        return plain(_read(data, allowance), allowance.budget)
    except DAMAGE as error:
        raise PromptFormatError(f"the pickle is damaged ({type(error).__name__})") from error


def _read(data: bytes, allowance: Allowance) -> object:
    if data[:4] == b"PK\x03\x04":
        return _read_zip(data, allowance)
    pickles = Pickles(data, allowance, _no_storages)
    first = pickles.next()
    if first == LEGACY_MAGIC and isinstance(first, int):
        return _read_legacy(pickles)
    return first


@dataclass
class Pickles:
    """Pickles in a row."""

    data: bytes
    allowance: Allowance
    find: Callable[[object], Storage]
    """The storage of a persistent id."""
    place: int = 0
    """Where the next one starts."""

    def next(self) -> object:
        """The value of the next pickle.

        Raises:
            PromptFormatError: it asks for more than tensors in plain containers, or is damaged.
        """
        machine = Machine(self.data, self.allowance, NAMES, self.find, self.place)
        value = run(machine)
        self.place = machine.place
        return value


def _no_storages(_: object) -> Storage:
    raise PromptFormatError("the pickle refers to storages outside of it, which are not there")


def _read_zip(data: bytes, allowance: Allowance) -> object:
    members = open_zip(data)
    found = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(found) != 1:
        raise PromptFormatError(f"expected one data.pkl in torch's zip, found {len(found)}")
    prefix = found[0].removesuffix("data.pkl")
    if f"{prefix}constants.pkl" in members:
        raise PromptFormatError("expected saved tensors, found a TorchScript program")
    if members[found[0]].size > _PICKLE_BYTES:
        raise PromptFormatError(f"data.pkl has more than {_PICKLE_BYTES:,} bytes")
    allowance.step(len(members))
    order = members.get(f"{prefix}byteorder")  # absent before torch 2.1
    big_endian = order is not None and bytes(order.view(allowance.budget)) == b"big"
    storages = _ZipStorages(members, prefix, allowance.budget, big_endian)
    pickled = bytes(members[found[0]].view(allowance.budget))
    return Pickles(pickled, allowance, storages.find).next()


@dataclass
class _ZipStorages:
    """Storages of a zip, each member opened once."""

    members: dict[str, Member]
    prefix: str
    budget: Budget
    big_endian: bool
    opened: dict[str, memoryview] = field(default_factory=dict)

    def find(self, identity: object) -> Storage:
        """The storage of a persistent id."""
        dtype, key, size, _ = _storage_id(identity)
        if key not in self.opened:
            name = f"{self.prefix}data/{key}"
            if name not in self.members:
                raise PromptFormatError(f"torch's zip lacks {name[:80]!r}: damaged or cut short")
            self.opened[key] = self.members[name].view(self.budget)
        return Storage(dtype, size, self.opened[key], self.big_endian)


def _storage_id(identity: object) -> tuple[str, str, int, Any]:
    """dtype, key, size in elements and view of `("storage", type, key, location, size[, view])`."""
    match identity:
        case ("storage", Symbol(_, kind), str(key), str(location), int(size), *view) if (
            kind in STORAGE_DTYPES
        ):
            if location == "meta":
                raise PromptFormatError("its tensors are on the meta device: they have no numbers")
            return STORAGE_DTYPES[kind], key, size, view[0] if view else None
        case ("module", *_):
            raise PromptFormatError("expected saved tensors, found a whole pickled module")
    raise PromptFormatError("the pickle is damaged: it refers to something else than a storage")


def _read_legacy(pickles: Pickles) -> object:
    """Magic number (read already), protocol, system, value, keys, then sizes and numbers."""
    storages = _LegacyStorages()
    pickles.find = storages.find
    protocol, _, value, keys = (pickles.next() for _ in range(4))
    if protocol != _LEGACY_PROTOCOL or not isinstance(keys, list):
        shown = protocol if isinstance(protocol, int) else type(protocol).__name__
        raise PromptFormatError(f"a torch file of unknown version {shown}")
    pickles.allowance.step(len(keys))
    storages.fill(keys, memoryview(pickles.data)[pickles.place :])
    return value


@dataclass
class _LegacyStorages:
    """Storages whose numbers follow the pickle; others are views of these."""

    roots: dict[str, Storage] = field(default_factory=dict)
    views: list[tuple[Storage, str, int]] = field(default_factory=list)

    def find(self, identity: object) -> Storage:
        """The storage of a persistent id, still without numbers."""
        dtype, key, size, view = _storage_id(identity)
        root = self.roots.setdefault(key, Storage(dtype, size, None))
        match view:
            case None:
                return root
            case (str(), int(offset), int(length)) if offset >= 0:
                storage = Storage(dtype, length, None)
                self.views.append((storage, key, offset * itemsize(dtype)))
                return storage
        raise PromptFormatError("the pickle is damaged: a storage's view is no part of it")

    def fill(self, keys: list[Any], data: memoryview) -> None:
        """Take the numbers of every storage, in the order of their keys."""
        for key in keys:
            if not isinstance(key, str) or key not in self.roots:
                raise PromptFormatError("the pickle is damaged: a storage that no tensor uses")
            size = int.from_bytes(data[:8], "little") * itemsize(self.roots[key].dtype)
            if len(data) < 8 + size:
                raise PromptFormatError(f"a storage of {size} bytes is cut short")
            self.roots[key].data = data[8 : 8 + size]
            data = data[8 + size :]
        for storage, key, start in self.views:
            numbers = self.roots[key].data
            storage.data = numbers[start:] if numbers is not None else None


@dataclass(eq=False)
class StorageInPlace(Storage):
    """A storage whose numbers stay in the file."""

    key: str = ""
    """By which the file finds them."""


@dataclass
class PicklesInPlace:
    """The pickles at the start of some bytes, one after the other."""

    data: bytes
    storages: dict[str, StorageInPlace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Share one allowance between them."""
        allowance = Allowance(Budget(len(self.data)), _refuse_nested)
        self._pickles = Pickles(self.data, allowance, self._storage)

    @property
    def place(self) -> int:
        """Where the last pickle ended."""
        return self._pickles.place

    def next(self) -> object:
        """The value of the next pickle, its tensors as `Tensor`s.

        Raises:
            PromptFormatError: it asks for more than tensors in plain containers, or is damaged.
        """
        return self._pickles.next()

    def _storage(self, reference: object) -> StorageInPlace:
        """The storage of a persistent id."""
        dtype, key, size, view = _storage_id(reference)
        if view is not None:
            raise PromptFormatError("a storage in a layout that torch no longer writes")
        return self.storages.setdefault(key, StorageInPlace(dtype, size, None, key=key))


def _refuse_nested(_data: bytes, _allowance: Allowance) -> object:
    raise PromptFormatError("a pickle within the pickle, which no checkpoint has")
