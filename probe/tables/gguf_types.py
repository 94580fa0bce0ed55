"""How ggml's types lay numbers into blocks."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

BLOCKS: Mapping[int, tuple[int, int]] = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34)},
    **{9: (32, 40), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176)},
    **{14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98)},
    **{19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1)},
    **{25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54)},
    **{35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18)},
}
"""Numbers and bytes of a block by ggml's number of the type. The `gguf` package has the same, but
takes longer to import than a header to read."""


def stored_bytes(kind: int, shape: tuple[int, ...]) -> int | None:
    """Bytes that a tensor takes: 0 where rows are no whole blocks, None for an unknown type."""
    if kind not in BLOCKS:
        return None
    numbers, size = BLOCKS[kind]
    return 0 if shape[-1] % numbers else prod(shape) // numbers * size
