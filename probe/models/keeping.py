"""Loaded models that a process which answers many questions keeps for the next one."""

from __future__ import annotations

from pathlib import Path

from probe.live import LiveModel
from probe.models.frozen import FrozenModel
from probe.models.loading import load_model as read_model
from probe.tables.named import place_of

_Key = tuple[str, str | None, str | None, str | None, float | None]
_KEPT: dict[_Key, FrozenModel] = {}
_MOST: list[int] = [0]


def keep_models(most: int) -> None:
    """Keep the last models that are loaded from here on.

    Args:
        most: how many; 0, as before the first call, keeps none.
    """
    _MOST[0] = most
    _drop_oldest()


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
    if isinstance(name, LiveModel) or not _MOST[0]:
        return read_model(name, revision=revision, device=device, dtype=dtype)
    key = (str(name), revision, device, dtype, _changed(place_of(name)))
    model = _KEPT.pop(key, None) or read_model(name, revision=revision, device=device, dtype=dtype)
    _KEPT[key] = model
    _drop_oldest()
    return model


def _changed(place: Path) -> float | None:
    """When the newest of a model's files was written; None of a hub id."""
    if not place.exists():
        return None
    files = [place, *place.iterdir()] if place.is_dir() else [place]
    return max(file.stat().st_mtime for file in files if file.exists())  # a link may lead nowhere


def _drop_oldest() -> None:
    for key in list(_KEPT)[: max(0, len(_KEPT) - _MOST[0])]:
        del _KEPT[key]
