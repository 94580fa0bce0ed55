"""The pickles of a torch file whose numbers are not read with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from probe.errors import PromptFormatError
from probe.formats.containers.limits import Budget
from probe.formats.pickle.allowed import STORAGE_DTYPES
from probe.formats.pickle.machine import Allowance
from probe.formats.pickle.reader import Pickles
from probe.formats.pickle.values import Storage, Symbol


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
        """The storage of a persistent id: `("storage", class, key, device, elements, …)`."""
        match reference:
            case ("storage", Symbol(name=kind), str(key), _, int(size), *more):
                if kind in STORAGE_DTYPES and more in ([], [None]):
                    return self.storages.setdefault(
                        key, StorageInPlace(STORAGE_DTYPES[kind], size, None, key=key)
                    )
        raise PromptFormatError("a storage in a layout that torch no longer writes")


def _refuse_nested(_data: bytes, _allowance: Allowance) -> object:
    raise PromptFormatError("a pickle within the pickle, which no checkpoint has")
