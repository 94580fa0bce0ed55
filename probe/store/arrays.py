"""Arrays that are dear to compute, kept by content, parameters and version."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from probe.arrays import Arrays as Arrays
from probe.atomic import make_private
from probe.store.files import keep_file

_LOG = logging.getLogger(__name__)


def cached_arrays(
    folder: Path, key: str, compute: Callable[[], Arrays], fits: Callable[[Arrays], bool]
) -> Arrays:
    """The arrays kept under a key; computed, and kept, when none can be read.

    Args:
        folder: where they are kept.
        key: names content, parameters and version of what is computed.
        compute: makes the arrays.
        fits: whether kept arrays have the names, shapes and values that computed ones would.
    """
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"
    kept = _read(path)
    if kept is not None and fits(kept):
        return kept
    if path.exists():
        _LOG.info("%s does not hold what belongs there: computing it again", path)
    arrays = compute()
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with suppress(OSError):  # a full or read-only disk costs the cache, not the answer
        make_private(folder)
        keep_file(path, buffer.getvalue())
    return arrays


def _read(path: Path) -> Arrays | None:
    try:
        # Opened here because numpy leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            # Its own checksums first: a flipped bit would otherwise come back as numbers.
            return None if kept.zip.testzip() else dict(kept)
    except Exception:  # absent or damaged, in whatever way: computing again cures both
        return None
