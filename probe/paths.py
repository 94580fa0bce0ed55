"""Where things lie: the user's workspace, and what comes with `probe`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from probe.errors import WorkspaceError

PACKAGE = Path(__file__).parent
HUB_NAME = r"[A-Za-z0-9][\w.-]*"
HUB_REPOSITORY = rf"{HUB_NAME}/{HUB_NAME}"
"""How names on the hub and its repositories, `owner/name`, are spelt, in ASCII."""
_FILE_ENDINGS = (".safetensors", ".bin", ".pt", ".npy", ".npz", ".zip", ".json", ".nemo", ".ckpt")


def home() -> Path:
    """`$PROBE_HOME`, else the platform's user data folder; prompts, runs and caches lie below.

    Raises:
        WorkspaceError: `PROBE_HOME` begins with the `~` of a user who does not exist.
    """
    if path := os.environ.get("PROBE_HOME"):
        return full_path(path)
    from platformdirs import user_data_path

    return user_data_path("probe", appauthor=False)


def full_path(path: str | os.PathLike[str]) -> Path:
    """An absolute path, its `~` spelt out.

    Raises:
        WorkspaceError: there is no such user.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise WorkspaceError(f"no folder {path}: {error} (set PROBE_HOME)") from error


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path, its `~` spelt out; that of a user who does not exist stays, and leads nowhere."""
    return Path(os.path.expanduser(path))


def is_hub_id(source: str) -> bool:
    """Whether this names a hub repository, `owner/name`, rather than a file that is not there."""
    is_id = re.fullmatch(HUB_REPOSITORY, source, re.ASCII) is not None
    return is_id and not source.endswith(_FILE_ENDINGS)


def shipped(name: Literal["app", "sample_prompts"]) -> Path | None:
    """The folder, inside the package of a wheel or beside it in a checkout; None in neither."""
    places = (parent / name for parent in (PACKAGE, PACKAGE.parent))
    return next((place for place in places if place.is_dir()), None)
