"""Arrays that are dear to compute, kept by content, parameters and version."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from probe.store.files import replace_file

Arrays = dict[str, NDArray[np.generic]]


def cached_arrays(folder: Path, key: str, compute: Callable[[], Arrays]) -> Arrays:
    """The arrays kept under a key; computed, and kept, when none can be read.

    Args:
        folder: where they are kept.
        key: names content, parameters and version of what is computed.
        compute: makes the arrays.
    """
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"
    kept = _read(path)
    if kept is not None:
        return kept
    arrays = compute()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with suppress(OSError):  # a full or read-only disk costs the cache, not the answer
        replace_file(path, buffer.getvalue())
    return arrays


def _read(path: Path) -> Arrays | None:
    try:
        # Opened here because numpy leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            # Its own checksums first: a flipped bit would otherwise come back as numbers.
            return None if kept.zip.testzip() else dict(kept)
    except Exception:  # absent or damaged, in whatever way: computing again cures both
        return None
