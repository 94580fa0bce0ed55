"""What one file holds, opened by its first bytes and never by its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.containers.json_yaml import read_json, read_yaml
from probe.formats.containers.limits import Budget, read_file
from probe.formats.containers.safetensors_npy import read_npy, read_safetensors
from probe.formats.containers.tar import read_tar
from probe.formats.containers.zip import read_zip
from probe.formats.pickle.reader import read_pickle
from probe.prompt import Provenance, default_name
from probe.texts import counted

Container = Literal["npy", "zip", "tar", "safetensors", "json", "pickle"]
Tensors = Mapping[str, NDArray[Any]]
_Value = TypeVar("_Value")

_MISTAKEN = (
    (b"version https://git-lfs", "a Git LFS pointer in the file's place: run `git lfs pull`"),
    (b"<!doctype", "a web page: download the file itself (on the hub /resolve/, not /blob/)"),
    (b"<html", "a web page: download the file itself (on the hub /resolve/, not /blob/)"),
    (b"gguf", "a GGUF model, which holds no prompt"),
    (b"\x89hdf", "an HDF5 file: save the rows as npy or safetensors"),
    (b"rar!", "a RAR archive: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
)
"""How files begin that are taken for prompts, in lower case."""
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_MAX_DEPTH = 8


class NoContainerError(PromptFormatError):
    """A file of a kind that never holds prompts, such as a README."""


_USUAL_NAMES = {
    "adapter",
    "adapter_model",
    "encoder",
    "decoder",
    "learned_embeds",
    "model",
    "model_weights",
    "prompt",
    "pytorch_adapter",
    "pytorch_model",
    "soft_prompt",
    "task_prompt",
    "tensor",
}


@dataclass(frozen=True)
class Content:
    """One opened file: plain Python containers and numpy arrays, nothing executed."""

    path: Path
    container: Container
    value: object
    """Tensors by key, members by name (zip, tar), a JSON document or one bare array."""
    sha256: str
    """Digest of the file's bytes."""
    held: int = 0
    """Bytes that the file and what was unpacked from it take in memory."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """String metadata of a safetensors header."""

    @cached_property
    def budget(self) -> Budget:
        """Memory that the prompts of this file may still take."""
        return Budget(self.held)

    @cached_property
    def tensors(self) -> Tensors:
        """Every array under its dotted key; wrappers such as `state_dict` become key parts."""
        if not isinstance(self.value, Mapping):
            return {}
        return {key: array for key, array in _arrays(self.value, "", _MAX_DEPTH) if key}

    def beside(self, filename: str) -> Path | None:
        """A neighbouring file of that name, where there is one."""
        path = self.path.parent / filename
        return path if path.is_file() else None

    @property
    def words(self) -> str:
        """What errors call the whole."""
        return f"a {self.container} file"

    def document(self, filename: str) -> Mapping[str, Any] | None:  # noqa: ARG002
        """What a neighbouring file of that name says; None: look for it on disk."""
        return None

    def inside(self, value: object) -> Content:
        """The same file, seen as what one of its members holds."""
        held = self.held + _copied(value)
        return replace(self, container="pickle", value=value, held=held)

    @property
    def name(self) -> str:
        """The prompt's name when the file carries none: the file's own, or its folder's."""
        return file_name(self.path)

    def provenance(self, reader: str, notes: tuple[str, ...] = ()) -> Provenance:
        """Where the vectors came from."""
        return Provenance(reader, str(self.path), self.sha256, notes=notes)


def open_content(path: Path) -> Content:
    """Open a file by what its first bytes say.

    Raises:
        NoContainerError: the file is no container that holds prompts.
        PromptFormatError: it is a damaged one.
    """
    data = read_file(path)
    digest = hashlib.sha256(data).hexdigest()
    container = sniff(data)
    if container is None:
        mistaken = _mistaken(data)
        refused = PromptFormatError if mistaken else NoContainerError
        raise refused(
            f"{path}: expected a prompt file (safetensors, npy, torch, zip, nemo, json), found "
            f"{mistaken or counted(len(data), 'byte') + ' of something else'}"
        )
    metadata: Mapping[str, str] = {}
    value: object
    if container == "safetensors":
        value, metadata = opened(path, read_safetensors, data)
    else:
        value = opened(path, _READ[container], data)
    return Content(path, container, value, digest, len(data) + _copied(value), metadata)


def opened(path: Path, read: Callable[[bytes], _Value], data: bytes) -> _Value:
    """What a container's reader makes of bytes; its refusals name the file.

    Raises:
        PromptFormatError: the reader's own, after the path.
    """
    try:
        return read(data)
    except PromptFormatError as error:
        raise PromptFormatError(f"{path}: {error}") from error


def document_beside(content: Content, filename: str) -> Mapping[str, Any]:
    """A JSON object or YAML mapping in the same folder; empty where there is no such file.

    Raises:
        PromptFormatError: the file is there but damaged.
    """
    known, path = content.document(filename), content.beside(filename)
    if known is not None or path is None:
        return known or {}
    read = read_yaml if path.suffix == ".yaml" else read_json
    document = opened(path, read, read_file(path))
    if not isinstance(document, Mapping):
        raise PromptFormatError(f"{path}: expected an object, found {type(document).__name__}")
    return document


def ends_with(key: str, suffix: str) -> bool:
    """Whether the last dotted parts of a key are `suffix`."""
    return key == suffix or key.endswith(f".{suffix}")


def keys_of(tensors: Tensors, *suffixes: str) -> list[str]:
    """Every key that ends with one of the suffixes."""
    return [key for key in tensors if any(ends_with(key, suffix) for suffix in suffixes)]


def below(tensors: Tensors, module: str) -> dict[str, NDArray[Any]]:
    """The tensors of a submodule, by their keys within it.

    Args:
        tensors: a state dict.
        module: the submodule's dotted name, wherever it stands in the key.
    """
    marked = ((f".{key}".rpartition(f".{module}."), array) for key, array in tensors.items())
    return {rest: array for (_, found, rest), array in marked if found}


def sniff(data: bytes) -> Container | None:
    """Which container these bytes are, None when none that holds prompts."""
    if data[8:9] == b"{" and b"\x00" in data[:8]:
        return "safetensors"  # before pickle: a header of 640 bytes begins like one
    if data[:6] == b"\x93NUMPY":
        return "npy"
    if data[:4] == b"PK\x03\x04":
        return "pickle" if b"data.pkl" in data else "zip"  # the member torch.save always writes
    if data[:2] == b"\x1f\x8b" or data[257:262] == b"ustar":
        return "tar"
    if data[:2] in _PICKLES:
        return "pickle"
    if data.lstrip()[:1] in (b"{", b"["):
        return "json"
    return None


def _mistaken(data: bytes) -> str:
    """What these bytes are, where that is a usual mistake, and what helps."""
    if not data:
        return "an empty file: copy it again"
    start = data[:200].lstrip().lower()
    return next((what for mark, what in _MISTAKEN if start.startswith(mark)), "")


def file_name(path: Path) -> str:
    """The name a file gives its prompt: its own, or its folder's where tools all use one name."""
    name = default_name(path)
    usual = name.split(".")[0].lower() in _USUAL_NAMES and not path.is_dir()
    chosen = path.absolute().parent.name if usual else name
    return os.fsencode(chosen).decode("utf-8", "replace")  # a file's name may be any bytes


def _copied(value: object) -> int:
    """Bytes of the arrays and members that are no views of the file's own bytes."""
    if isinstance(value, np.ndarray):
        return value.nbytes if value.flags.writeable else 0
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_copied(item) for item in value.values())
    return sum(_copied(item) for item in value) if isinstance(value, list | tuple) else 0


def _arrays(value: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        dotted = f"{prefix}{key}"
        if isinstance(item, np.ndarray):
            yield dotted, item
        elif isinstance(item, Mapping) and depth:
            yield from _arrays(item, f"{dotted}.", depth - 1)


_READ = {
    "npy": read_npy,
    "zip": read_zip,
    "tar": read_tar,
    "json": read_json,
    "pickle": read_pickle,
}
