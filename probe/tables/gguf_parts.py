"""A GGUF model's files: one, or the parts that llama.cpp split it into."""

from __future__ import annotations

import re
from dataclasses import dataclass

from probe.errors import ModelNotFoundError
from probe.tables.gguf_files import GgufFile, WholeFiles
from probe.tables.gguf_header import GgufHeader, read_gguf_header

_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf", re.IGNORECASE)
MAX_PARTS = 4096
"""Most parts that are looked for; the largest models come in some tens."""


@dataclass(frozen=True)
class GgufPart:
    """One file of a model."""

    files: WholeFiles
    name: str
    header: GgufHeader


def read_first(found: GgufFile) -> GgufPart:
    """The file that holds the metadata: the only one, or the first of the parts.

    Raises:
        ModelNotFoundError: it is damaged or not beside the part that was named.
    """
    names = part_names(found.name)
    header = read_gguf_header(found.files, names[0])
    count = header.metadata.get("split.count", 1)
    if type(count) is int and max(count, 1) != len(names):
        raise ModelNotFoundError(
            f"{found.files.where}: {names[0]} is one of {count} parts and its name says "
            f"{len(names)}: keep the names that llama.cpp gave them, …-00001-of-{count:05d}.gguf"
        )
    return GgufPart(found.files, names[0], header)


def read_others(first: GgufPart) -> list[GgufPart]:
    """The other parts of a model, in order; each is looked for when it is needed.

    Raises:
        ModelNotFoundError: one is missing or damaged.
    """
    others = part_names(first.name)[1:]
    return [GgufPart(first.files, name, read_gguf_header(first.files, name)) for name in others]


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
