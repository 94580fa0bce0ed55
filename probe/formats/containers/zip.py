"""Zip archives, read in memory: nothing is written, nothing unpacks without bound.

The directory is checked before any member is opened: number and size of members, names, links,
encryption, and that no two members share bytes (Fifield, "A better zip bomb", WOOT 2019).
"""

from __future__ import annotations

import bz2
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from probe.errors import PromptFormatError
from probe.formats.containers.limits import MAX_MEMBERS, Budget, require_safe_name, require_small

_DIRECTORY_BYTES = 300 * MAX_MEMBERS
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_END = struct.Struct("<4s4H2LH")
_WIDE_END_BYTES = 56 + 20
"""Of zip64's end record and its locator, which lie before the end record."""
_LZMA_WINDOW = 4096
SHARDED = (
    "torch.distributed.checkpoint (FSDP) writes tensors so, a share per rank: merge them with "
    "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE"
)
"""What `.distcp` files are, and what helps."""


@dataclass(frozen=True)
class Member:
    """A file in a zip, still packed."""

    name: str
    packed: memoryview
    size: int
    """Bytes once unpacked, as the directory says."""
    method: int
    crc: int

    def view(self, budget: Budget) -> memoryview:
        """Its bytes: a view of the archive's where they are stored as they are.

        Raises:
            PromptFormatError: it is damaged, or larger than the budget.
        """
        if self.method == zipfile.ZIP_STORED:
            unpacked = self.packed
        else:
            budget.take(self.size, f"zip: {self.name!r}")
            unpacked = memoryview(self._unpack())
        if len(unpacked) != self.size:
            raise PromptFormatError(
                f"zip: {self.name!r} should have {self.size} bytes, found {len(unpacked)}: damaged"
            )
        if self.crc and zlib.crc32(unpacked) != self.crc:  # torch writes 0 when told to skip it
            raise PromptFormatError(f"zip: {self.name!r} is damaged: its checksum differs")
        return unpacked

    def _unpack(self) -> bytes:
        try:
            return _DECOMPRESS[self.method](self.packed, self.size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise PromptFormatError(f"zip: {self.name!r} is damaged ({error})") from error


def _unlzma(packed: memoryview, size: int) -> bytes:
    """LZMA1 as in section 5.8.8 of the zip specification: version, size of properties, 5 of them.

    The window is claimed by the file, yet never reaches farther back than the data are long.
    """
    if len(packed) < 9 or bytes(packed[2:4]) != b"\x05\x00" or packed[4] >= 225:
        raise ValueError("no LZMA properties")
    rest, literal_context = divmod(packed[4], 9)
    position_bits, literal_position = divmod(rest, 5)
    window = min(int.from_bytes(packed[5:9], "little"), size)
    settings = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(window, _LZMA_WINDOW),
        "lc": literal_context,
        "lp": literal_position,
        "pb": position_bits,
    }
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings])
    return unpacker.decompress(packed[9:], size + 1)


_DECOMPRESS: dict[int, Callable[[memoryview, int], bytes]] = {
    zipfile.ZIP_STORED: lambda packed, _: bytes(packed),
    zipfile.ZIP_DEFLATED: lambda packed, size: zlib.decompressobj(-15).decompress(packed, size + 1),
    zipfile.ZIP_BZIP2: lambda packed, size: bz2.BZ2Decompressor().decompress(packed, size + 1),
    zipfile.ZIP_LZMA: _unlzma,
}


def read_zip(data: bytes) -> dict[str, bytes]:
    """The files of a zip archive by name.

    Raises:
        PromptFormatError: it is damaged, too large, encrypted, or holds unsafe names or links.
    """
    require_small(len(data), "zip: the archive has")
    members = open_zip(data)
    require_small(sum(member.size for member in members.values()), "zip: its members would have")
    budget = Budget(len(data))
    return {name: bytes(member.view(budget)) for name, member in members.items()}


def open_zip(data: bytes) -> dict[str, Member]:
    """The files of a zip archive by name, checked but still packed.

    Raises:
        PromptFormatError: its directory is damaged, too long, or not safe.
    """
    _require_directory(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            directory = archive.start_dir
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
        raise PromptFormatError(f"zip: damaged or cut short ({error})") from error
    if len(entries) > MAX_MEMBERS:
        raise PromptFormatError(f"zip: {len(entries)} members, expected at most {MAX_MEMBERS}")
    members: dict[str, Member] = {}
    end = 0
    entries.sort(key=lambda entry: entry.header_offset)
    if entries and entries[0].header_offset > 0 and data[:4] == b"PK\x03\x04":
        raise PromptFormatError(
            f"zip: one archive behind another, of which the last is a part: {SHARDED}"
        )
    for entry in entries:
        _require_safe(entry, members)
        start = _start(data, entry, end)
        end = start + entry.compress_size
        if end > directory:
            raise PromptFormatError(f"zip: {entry.filename!r} reaches beyond its place: damaged")
        if not entry.is_dir():
            members[entry.filename] = Member(
                entry.filename,
                memoryview(data)[start:end],
                entry.file_size,
                entry.compress_type,
                entry.CRC,
            )
    return members


def _require_directory(data: bytes) -> None:
    """Refuse a directory that would take long to parse, by the end record's own words."""
    tail = bytes(data[-(_END.size + 0xFFFF) :])
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise PromptFormatError("zip: expected a directory at the end: cut short or damaged")
    size = _END.unpack_from(tail, place)[5]
    wide = place - _WIDE_END_BYTES
    if wide >= 0 and tail[wide : wide + 4] == b"PK\x06\x06":  # zip64's record counts instead
        size = int.from_bytes(tail[wide + 40 : wide + 48], "little")
    if size > _DIRECTORY_BYTES:
        raise PromptFormatError(
            f"zip: a directory of {size} bytes, expected at most {_DIRECTORY_BYTES}"
        )


def _start(data: bytes, entry: zipfile.ZipInfo, end: int) -> int:
    """Where a member's bytes start, which must be after the member before it."""
    place = entry.header_offset
    header = bytes(data[place : place + _LOCAL_HEADER.size]) if place >= 0 else b""
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
        raise PromptFormatError(f"zip: {entry.filename!r} has no header: damaged")
    if place < end:
        raise PromptFormatError(f"zip: {entry.filename!r} overlaps another member")
    _, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    return place + _LOCAL_HEADER.size + int(name_size) + int(extra_size)


def _require_safe(entry: zipfile.ZipInfo, earlier: dict[str, Member]) -> None:
    name = entry.filename
    require_safe_name(name, "zip")
    if name in earlier:
        raise PromptFormatError(f"zip: two members named {name[:80]!r}")
    if entry.flag_bits & 0x1:
        raise PromptFormatError(f"zip: {name[:80]!r} is encrypted, expected a plain archive")
    if entry.compress_type not in _DECOMPRESS:
        raise PromptFormatError(
            f"zip: {name[:80]!r} is packed by method {entry.compress_type}, expected deflate, "
            "bzip2, LZMA or none"
        )
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise PromptFormatError(f"zip: {name[:80]!r} is a link or device, expected plain files")
