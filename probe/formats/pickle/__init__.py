"""Pickles read without unpickling: opcodes walked, allowed names rebuilt, nothing executed.

    read_pickle(data)                      # plain containers and arrays
    pickles = PicklesInPlace(first_bytes)  # of a file whose numbers stay where they are
    state = pickles.next()                 # a state dict of `Tensor`s

See docs/decisions/0006-pickles-without-unpickling.md.
"""

from probe.formats.pickle.reader import (
    DAMAGE,
    LEGACY_MAGIC,
    PicklesInPlace,
    StorageInPlace,
    read_pickle,
)
from probe.formats.pickle.values import Tensor

__all__ = [
    "DAMAGE",
    "LEGACY_MAGIC",
    "PicklesInPlace",
    "StorageInPlace",
    "Tensor",
    "read_pickle",
]
