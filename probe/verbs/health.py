"""Is this installation able to do its work?"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from probe.errors import MissingExtraError, ProbeError
from probe.paths import shipped
from probe.results import Result
from probe.store import Workspace, load_sample, sample_folders
from probe.store.indexed import is_open_to_others
from probe.tables import load_vocabulary, named_path
from probe.tables.named import SMOLLM2_MISSING, smollm2_file
from probe.texts import counted

State = Literal["ok", "missing", "broken"]

LIBRARIES = ("numpy", "scipy", "safetensors", "tokenizers", "torch", "transformers", "streamlit")
BUILTIN_SHA256 = "f24baf665b44a7f66910061775cb784969dca5201d7a14652bbb65853af8c4e0"
_ENOUGH_BYTES = 200 << 20


class _NotInstalledError(ProbeError):
    """A model that comes with another distribution is not there."""


@dataclass(frozen=True)
class Check:
    """One thing `probe doctor` looked at."""

    name: str
    state: State
    """`missing` is something optional that is not installed."""
    detail: str


@dataclass(frozen=True)
class Health(Result):
    """Everything `probe doctor` looked at."""

    versions: dict[str, str | None]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return all(check.state != "broken" for check in self.checks)

    def headline(self) -> list[str]:
        """Whether anything is broken."""
        named = {
            state: ", ".join(one.name for one in self.checks if one.state == state)
            for state in ("broken", "missing")
        }
        lines = [f"{state.capitalize()}: {names}." for state, names in named.items() if names]
        return ["Everything that is needed works.", *lines] if self.ok else lines

    def _document(self) -> dict[str, Any]:
        return {"ok": self.ok, **super()._document()}

    def _rows(self) -> list[dict[str, Any]]:
        """One row per check."""
        return [vars(check) for check in self.checks]


def doctor(
    *,
    rebuild: bool = False,
    clean: bool = True,
    workspace: str | PathLike[str] | None = None,
) -> Health:
    """Check the installation and the workspace; remove what killed processes left behind.

    Args:
        rebuild: make the workspace's index anew from its folders.
        clean: False: remove nothing.
        workspace: its folder, or itself; the default one when None.
    """
    workspace = Workspace(workspace)
    looks: dict[str, Callable[[], str]] = {
        **(
            {"index": lambda: f"rebuilt from {workspace.rebuild()} prompt folders"}
            if rebuild
            else {}
        ),
        "workspace": lambda: _workspace(workspace, clean=clean),
        "disk": lambda: _disk(workspace.root),
        "builtin": _builtin,
        "minilm": lambda: _table("minilm"),  # reading it checks its digest
        "smollm2": _smollm2,
        "tokenizer": _tokenizer,
        "sample prompts": _samples,
        "dashboard": _dashboard,
    }
    return Health(_versions(), tuple(_checked(name, look) for name, look in looks.items()))


def _checked(name: str, look: Callable[[], str]) -> Check:
    """What a look found, or what it complained of."""
    try:
        return Check(name, "ok", look())
    except (MissingExtraError, _NotInstalledError) as error:
        return Check(name, "missing", str(error))
    except ProbeError as error:
        return Check(name, "broken", str(error))


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("soft-prompt-probe", *LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _workspace(workspace: Workspace, *, clean: bool) -> str:
    cleaned = len(workspace.remove_leftovers()) if clean else 0
    if problems := workspace.problems():
        raise ProbeError("; ".join(problems))
    detail = f"{workspace.root}: {counted(len(workspace.prompts.ids()), 'prompt')}"
    detail += f", {cleaned} leftovers removed" if cleaned else ""
    if is_open_to_others(workspace.root):
        detail += f", readable by other users: `chmod -R go= {workspace.root}` keeps it yours"
    return detail


def _disk(root: Path) -> str:
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ProbeError(f"{there} cannot be written: set PROBE_HOME")
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:.1f} GB free at {there}"
    if free < _ENOUGH_BYTES:
        raise ProbeError(detail)
    return detail


def _builtin() -> str:
    folder = named_path("builtin")
    try:
        if folder is None:
            raise OSError("the folder is gone")
        with (folder / "model.safetensors").open("rb") as weights:
            found = hashlib.file_digest(weights, "sha256").hexdigest()
    except OSError as error:
        raise ProbeError(f"{error}: reinstall soft-prompt-probe") from error
    if found != BUILTIN_SHA256:
        raise ProbeError(
            f"model.safetensors has sha256 {found}, expected {BUILTIN_SHA256}: "
            "reinstall soft-prompt-probe"
        )
    return _table("builtin")


def _smollm2() -> str:
    if smollm2_file() is None:
        raise _NotInstalledError(SMOLLM2_MISSING)
    named_path("smollm2")  # finding it checks its digest; its table would fill the cache
    return "digest as published"


def _table(model: str) -> str:
    vocabulary = load_vocabulary(model)
    return f"{counted(len(vocabulary), 'token')} × {vocabulary.width}, digest as published"


def _tokenizer() -> str:
    text = " a soft prompt, decoded"
    vocabulary = load_vocabulary("builtin")
    back = vocabulary.decode(vocabulary.encode(text))
    if back != text:
        raise ProbeError(f"{text!r} came back as {back!r}")
    return "text survives the round trip"


def _samples() -> str:
    names = sample_folders()
    if not names:
        raise ProbeError("none are installed: reinstall soft-prompt-probe")
    return f"{sum(len(load_sample(name)) for name in names)} can be read"


def _dashboard() -> str:
    if find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "app")
    folder = shipped("app")
    if folder is None:
        raise ProbeError("its pages are gone: reinstall soft-prompt-probe")
    return str(folder)
