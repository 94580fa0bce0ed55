"""A model's GGUF files: one on disk, in a folder or on the hub, or the parts it was split into."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from probe.errors import ModelNotFoundError
from probe.paths import HUB_REPOSITORY
from probe.tables.files import Files, LocalFiles
from probe.tables.gguf_header import GgufHeader, read_gguf_header

_HUB_FILE = re.compile(rf"({HUB_REPOSITORY}):([\w.+-]+(?:/[\w.+-]+)*\.gguf)", re.ASCII)
TABLE = "token_embd.weight"
"""llama.cpp's name of the input table."""
_BESIDE_MODELS = re.compile("mmproj|imatrix", re.IGNORECASE)
"""In names of files that come beside models: projectors of pictures, statistics of activations."""
_LATER_PART = re.compile(r".+-(?!00001)\d{5}-of-\d{5}\.gguf", re.IGNORECASE)


class WholeFiles(Files, Protocol):
    """Files that can be had whole, for what reads no ranges."""

    def whole(self, name: str) -> Path:
        """Where a file lies on this machine, fetched if need be."""
        ...


@dataclass(frozen=True)
class GgufFile:
    """One GGUF file of a model."""

    files: WholeFiles
    name: str
    """The file's name within `files`."""


def find_gguf(model: str | Path, place: Path, revision: str | None = None) -> GgufFile | None:
    """The GGUF file that a model's name means; None where it means another kind of model.

    Args:
        model: the model as the user named it.
        place: the path that the name means, whether something is there or not.
        revision: branch, tag or commit of a file on the hub.

    Raises:
        ModelNotFoundError: a folder holds several, so that one must be named.
    """
    name = str(model)
    if place.is_file() and (place.suffix.lower() == ".gguf" or _is_gguf(place)):
        return _local(place, name)
    if place.is_dir() and not (place / "config.json").is_file():
        return None if (file := _only_one(place)) is None else _local(file, name)
    if isinstance(model, str) and not place.exists() and (hub := _HUB_FILE.fullmatch(name)):
        from probe.tables.hub import HubFiles

        repository, within = hub.groups()
        return GgufFile(HubFiles(repository, revision, known=within), within)
    return None


def _local(path: Path, where: str) -> GgufFile:
    return GgufFile(LocalFiles(path.parent, where), path.name)


def _is_gguf(path: Path) -> bool:
    """Whether a file of any name (Ollama's have none to tell) begins as GGUF files do."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError:
        return False


def _only_one(folder: Path) -> Path | None:
    """The one GGUF model of a folder: a file or the first part of a split one.

    Where there is none, another GGUF file: reading it says what it lacks.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".gguf")
    first = [
        path
        for path in found
        if not _BESIDE_MODELS.search(path.name) and not _LATER_PART.fullmatch(path.name)
    ]
    if len(first) > 1:
        first = [path for path in first if _may_be_model(path)] or first
    if len(first) > 1:
        names = ", ".join(path.name for path in first[:4])
        raise ModelNotFoundError(
            f"{folder} holds {len(first)} GGUF files ({names}{', …' * (len(first) > 4)}), expected "
            f"one: name it, as in {first[0]}"
        )
    return next(iter(first or found), None)


def _may_be_model(path: Path) -> bool:
    """Whether a file holds a table, or may: a part of a model, or one that cannot be read."""
    try:
        header = read_gguf_header(LocalFiles(path.parent, str(path)), path.name)
    except ModelNotFoundError:
        return True
    return TABLE in header.tensors or "split.count" in header.metadata


_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf", re.IGNORECASE)
MAX_PARTS = 4096
"""Most parts that are looked for; the largest models come in some tens."""


@dataclass(frozen=True)
class GgufPart(GgufFile):
    """One file of a model with its header."""

    header: GgufHeader


def read_first(found: GgufFile) -> GgufPart:
    """The file that holds the metadata: the only one, or the first of the parts.

    Raises:
        ModelNotFoundError: it is damaged or not beside the part that was named.
    """
    names = part_names(found.name)
    first = _read_part(found.files, names[0], 0)
    count = first.header.metadata.get("split.count", 1)
    if type(count) is int and max(count, 1) != len(names):
        raise ModelNotFoundError(
            f"{found.files.where}: {names[0]} is one of {count} parts and its name says "
            f"{len(names)}: keep the names that llama.cpp gave them, …-00001-of-{count:05d}.gguf"
        )
    return first


def read_others(first: GgufPart) -> list[GgufPart]:
    """The other parts of a model, in order; each is looked for when it is needed.

    Raises:
        ModelNotFoundError: one is missing or damaged.
    """
    others = enumerate(part_names(first.name)[1:], 1)
    return [_read_part(first.files, name, number) for number, name in others]


def _read_part(files: WholeFiles, name: str, number: int) -> GgufPart:
    header = read_gguf_header(files, name)
    found = header.metadata.get("split.no", number)
    if found != number:
        raise ModelNotFoundError(
            f"{files.where}: {name} says that it is part {found}, counted from 0, expected "
            f"{number}: give the parts the names that llama.cpp gave them"
        )
    return GgufPart(files, name, header)


def part_with(first: GgufPart, tensor: str) -> GgufPart:
    """The part that holds a tensor; the first one if none does.

    Raises:
        ModelNotFoundError: a part before it is missing or damaged.
    """
    if tensor in first.header.tensors:
        return first
    return next((part for part in read_others(first) if tensor in part.header.tensors), first)


def part_names(name: str) -> list[str]:
    """The names of all parts of a file of this name, the first one first."""
    found = _PART.fullmatch(name)
    parts = int(found["parts"]) if found else 1
    if found is None or not 1 <= int(found["part"]) <= parts <= MAX_PARTS:
        return [name]
    return [f"{found['stem']}-{part:05d}-of-{parts:05d}.gguf" for part in range(1, parts + 1)]
