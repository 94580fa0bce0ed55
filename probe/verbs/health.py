"""Is this installation able to do its work?"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
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


def doctor(*, rebuild: bool = False, workspace: Workspace | None = None) -> Health:
    """Check the installation and the workspace; remove what killed processes left behind.

    Args:
        rebuild: make the workspace's index anew from its folders.
        workspace: the default one when None.
    """
    workspace = workspace or Workspace()
    return Health(
        versions=_versions(),
        checks=(
            *((_rebuilt(workspace),) if rebuild else ()),
            _workspace(workspace),
            _disk(workspace.root),
            _builtin(),
            _minilm(),
            _smollm2(),
            _tokenizer(),
            _samples(),
            _dashboard(),
        ),
    )


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("soft-prompt-probe", *LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _rebuilt(workspace: Workspace) -> Check:
    try:
        return Check("index", "ok", f"rebuilt from {workspace.rebuild()} prompt folders")
    except ProbeError as error:
        return Check("index", "broken", str(error))


def _workspace(workspace: Workspace) -> Check:
    cleaned = len(workspace.remove_leftovers())
    problems = workspace.problems()
    if problems:
        return Check("workspace", "broken", "; ".join(problems))
    detail = f"{workspace.root}: {counted(len(workspace.prompts.ids()), 'prompt')}"
    detail += f", {cleaned} leftovers removed" if cleaned else ""
    if is_open_to_others(workspace.root):
        detail += f", readable by other users: `chmod -R go= {workspace.root}` keeps it yours"
    return Check("workspace", "ok", detail)


def _disk(root: Path) -> Check:
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / 1e9:.1f} GB free at {there}"
    if not (there.is_dir() and os.access(there, os.W_OK)):
        return Check("disk", "broken", f"{there} cannot be written: set PROBE_HOME")
    return Check("disk", "ok" if free >= _ENOUGH_BYTES else "broken", detail)


def _builtin() -> Check:
    folder = named_path("builtin")
    try:
        if folder is None:
            raise OSError("the folder is gone")
        with (folder / "model.safetensors").open("rb") as weights:
            found = hashlib.file_digest(weights, "sha256").hexdigest()
    except OSError as error:
        return Check("builtin", "broken", f"{error}: reinstall soft-prompt-probe")
    if found != BUILTIN_SHA256:
        return Check(
            "builtin",
            "broken",
            f"model.safetensors has sha256 {found}, expected {BUILTIN_SHA256}: "
            "reinstall soft-prompt-probe",
        )
    return _table("builtin")


def _minilm() -> Check:
    try:
        return _table("minilm")  # reading it checks its digest
    except MissingExtraError as error:
        return Check("minilm", "missing", str(error))


def _smollm2() -> Check:
    if smollm2_file() is None:
        return Check("smollm2", "missing", SMOLLM2_MISSING)
    try:
        named_path("smollm2")  # finding it checks its digest; its table would fill the cache
    except ProbeError as error:
        return Check("smollm2", "broken", str(error))
    return Check("smollm2", "ok", "digest as published")


def _table(model: str) -> Check:
    try:
        vocabulary = load_vocabulary(model)
    except MissingExtraError:
        raise
    except ProbeError as error:
        return Check(model, "broken", str(error))
    return Check(
        model,
        "ok",
        f"{counted(len(vocabulary), 'token')} × {vocabulary.width}, digest as published",
    )


def _tokenizer() -> Check:
    text = " a soft prompt, decoded"
    try:
        vocabulary = load_vocabulary("builtin")
        back = vocabulary.decode(vocabulary.encode(text))
    except ProbeError as error:
        return Check("tokenizer", "broken", str(error))
    if back != text:
        return Check("tokenizer", "broken", f"{text!r} came back as {back!r}")
    return Check("tokenizer", "ok", "text survives the round trip")


def _samples() -> Check:
    names = sample_folders()
    if not names:
        return Check("sample prompts", "broken", "none are installed: reinstall soft-prompt-probe")
    try:
        prompts = [prompt for name in names for prompt in load_sample(name)]
    except ProbeError as error:
        return Check("sample prompts", "broken", str(error))
    return Check("sample prompts", "ok", f"{len(prompts)} can be read")


def _dashboard() -> Check:
    if find_spec("streamlit") is None:
        return Check("dashboard", "missing", str(MissingExtraError("streamlit", "app")))
    folder = shipped("app")
    if folder is None:
        return Check("dashboard", "broken", "its pages are gone: reinstall soft-prompt-probe")
    return Check("dashboard", "ok", str(folder))
