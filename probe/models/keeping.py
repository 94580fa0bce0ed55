"""Loaded models that a process which answers many questions keeps for the next one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from probe.live import LiveModel
from probe.models.frozen import FrozenModel
from probe.models.loading import load_model as read_model
from probe.tables.named import Stamp, stamp_of


def keep_models(most: int) -> None:
    """Keep the last models that are loaded from here on; those kept before are dropped.

    Args:
        most: how many; 0, as before the first call, keeps none.
    """
    global _read
    _read = lru_cache(maxsize=most)(_read_named)


def load_model(
    name: str | Path | LiveModel,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> FrozenModel:
    """As `probe.models.loading.load_model`, or the same model again where it is kept.

    A file or folder that has changed since is read anew.

    Raises:
        ModelNotFoundError: as there.
        MissingExtraError: as there.
    """
    if isinstance(name, LiveModel):
        return read_model(name, revision=revision, device=device, dtype=dtype)
    stamp: Stamp = stamp_of(name) if _read.cache_parameters()["maxsize"] else frozenset()
    return _read(str(name), revision, device, dtype, stamp)


def _read_named(
    name: str, revision: str | None, device: str | None, dtype: str | None, _: Stamp
) -> FrozenModel:
    return read_model(name, revision=revision, device=device, dtype=dtype)


_read = lru_cache(maxsize=0)(_read_named)
