"""Tar archives, walked header by header.

The standard library's reader stops without a word at a damaged header, takes quadratic time on some
extended ones (CVE-2024-6232, in Python up to 3.11.9) and recurses on chains of them; the few kinds
of header that tools write for plain files are simple.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from probe.errors import PromptFormatError
from probe.formats.containers.limits import (
    MAX_ARCHIVE_BYTES,
    MAX_MEMBERS,
    require_safe_name,
    require_small,
)

_BLOCK = 512
_NAME_BYTES = 65_536
_FILES, _FOLDER = (b"0", b"\0", b"7"), b"5"
_LONG_NAME, _EXTENDED, _FOR_ALL = b"L", b"x", b"g"


@dataclass(frozen=True)
class _Entry:
    name: str
    kind: bytes
    data: memoryview


def read_tar(data: bytes) -> dict[str, bytes]:
    """The files of a tar archive, gzipped or not, by name.

    Raises:
        PromptFormatError: it is damaged, too large, or holds unsafe names, links or devices.
    """
    require_small(len(data), "tar: the archive has")
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(data)
    members: dict[str, bytes] = {}
    total = 0
    for entry in _named(_entries(data)):
        if entry.kind == _FOLDER:
            continue
        require_safe_name(entry.name, "tar")
        if entry.kind not in _FILES:
            raise PromptFormatError(
                f"tar: {entry.name[:80]!r} is a link, device or sparse file, expected plain files"
            )
        if entry.name in members:
            raise PromptFormatError(f"tar: two members named {entry.name[:80]!r}")
        total += len(entry.data)
        require_small(total, "tar: its members have")
        members[entry.name] = bytes(entry.data)
    return members


def _gunzip(data: bytes) -> bytes:
    try:
        unpacker = zlib.decompressobj(31)
        plain = unpacker.decompress(data, MAX_ARCHIVE_BYTES + 1)
    except zlib.error as error:
        raise PromptFormatError(f"gzip: damaged ({error})") from error
    require_small(len(plain), "gzip: unpacks to")
    if not unpacker.eof:
        raise PromptFormatError("gzip: cut short")
    return plain


def _entries(data: bytes) -> Iterator[_Entry]:
    """Every header with its data, until the block of zeros that ends the archive."""
    place = count = 0
    while any(header := data[place : place + _BLOCK]):
        count += 1
        if count > MAX_MEMBERS:
            raise PromptFormatError(f"tar: expected at most {MAX_MEMBERS} members")
        size = _number(header[124:136])
        if len(header) < _BLOCK or not _checksum_fits(header):
            raise PromptFormatError("tar: a damaged header")
        start = place + _BLOCK
        if start + size > len(data):
            raise PromptFormatError(f"tar: a member of {size} bytes is cut short")
        yield _Entry(_name(header), header[156:157], memoryview(data)[start : start + size])
        place = start + -(-size // _BLOCK) * _BLOCK
    if not count:
        raise PromptFormatError("tar: expected an archive, found no member")


def _named(entries: Iterator[_Entry]) -> Iterator[_Entry]:
    """Entries under the long names that headers before them spell out."""
    name: str | None = None
    for entry in entries:
        if entry.kind in (_LONG_NAME, _EXTENDED, _FOR_ALL):
            if len(entry.data) > _NAME_BYTES:
                raise PromptFormatError(f"tar: an extended header of {len(entry.data)} bytes")
            if entry.kind == _LONG_NAME:
                name = bytes(entry.data).rstrip(b"\0").decode("utf-8", "replace")
            elif entry.kind == _EXTENDED:
                name = _extended(bytes(entry.data)) or name
        else:
            yield _Entry(name or entry.name, entry.kind, entry.data)
            name = None


def _extended(data: bytes) -> str | None:
    """The path of a pax header, whose records are `LENGTH KEY=VALUE` and a newline."""
    name = None
    while data:
        length, _, _ = data[:8].partition(b" ")
        end = int(length) if length.isdigit() else 0
        key, _, value = data[len(length) + 1 : end - 1].partition(b"=")
        if not len(length) + 1 < end <= len(data):
            raise PromptFormatError("tar: a damaged extended header")
        if key == b"size" or key.startswith(b"GNU.sparse"):
            raise PromptFormatError("tar: a sparse or oversized member, expected plain files")
        name = value.decode("utf-8", "replace") if key == b"path" else name
        data = data[end:]
    return name


def _name(header: bytes) -> str:
    name, prefix = (part.split(b"\0")[0] for part in (header[:100], header[345:500]))
    if header[257:263] != b"ustar\0":  # GNU's variant has no prefix there
        prefix = b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "replace")


def _number(field: bytes) -> int:
    """Octal digits, or a binary number marked by its highest bit."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not set(digits) <= set(b"01234567"):
        raise PromptFormatError("tar: a damaged header")
    return int(digits or b"0", 8)


def _checksum_fits(header: bytes) -> bool:
    return _number(header[148:156]) == sum(header) - sum(header[148:156]) + 8 * ord(" ")
