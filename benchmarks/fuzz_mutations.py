"""Seeded damage to files: blind, and within zips, tars, pickles, headers and JSON."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import json
import pickle
import pickletools
import random
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

NUMBERS = [0, 1, -1, 2, 7, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
NUMBERS += [2**40, 2**60, 2**63 - 1, 2**64 - 1]
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
GADGETS = (
    b"cos\nsystem\n",
    b"\x8c\x02os\x8c\x06system\x93",
    b"cbuiltins\neval\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch.storage\n_load_from_bytes\n",
    b"ccollections\nOrderedDict\n)R",
    b"X\x0e\x00\x00\x00touch CANARY()\x85R",
)


def mutate(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One to three pieces of damage, mostly inside what the file contains.

    Args:
        data: a whole file.
        rng: source of every choice.
        others: files to splice from.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = _inside(data, rng, others) if rng.random() < 0.6 else _blind(data, rng, others)
    return data


def _inside(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Damage in the part of a container that a wrong checksum or length would else protect."""

    def deeper(part: bytes) -> bytes:
        return mutate(part, rng, others)

    if data[:2] == b"PK":
        return _in_zip(data, rng, deeper)
    if data[257:262] == b"ustar":
        return _in_tar(data, rng, deeper)
    if data[:1] == b"\x80":
        return _in_pickle(data, rng)
    if data[8:9] == b"{":
        return _in_header(data, 8, "<Q", deeper)
    if data[:6] == b"\x93NUMPY":
        return _in_header(data, 10, "<H", deeper)
    if data[:1] == b"{":
        return _in_json(data, rng, deeper)
    return _blind(data, rng, others)


def _blind(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    kind = rng.choice(_BLIND)
    if kind is _splice:
        return _splice(data, rng, rng.choice(others))
    return kind(data, rng) if data else b"\x80"


def _place(data: bytes, rng: random.Random) -> int:
    """Any place, the first bytes and the last more often: lengths and directories lie there."""
    where = rng.random()
    if where < 0.4:
        return rng.randrange(min(len(data), 256))
    if where < 0.6:
        return rng.randrange(max(0, len(data) - 512), len(data))
    return rng.randrange(len(data))


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 8, 100))) + data[at:]


def _delete(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice((1, 4, 16, 1000)) :]


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, size = _place(data, rng), rng.choice((1, 16, 512, 4096))
    return data[:at] + data[at : at + size] * rng.choice((2, 3, 50)) + data[at + size :]


def _length(data: bytes, rng: random.Random) -> bytes:
    """A number in the width and order of a length field."""
    code = rng.choice(("<H", "<I", "<Q", ">I", ">Q"))
    size = struct.calcsize(code)
    number = rng.choice(NUMBERS) % 2 ** (8 * size)
    at = _place(data, rng)
    return data[:at] + struct.pack(code, number) + data[at + size :]


def _digits(data: bytes, rng: random.Random) -> bytes:
    """Another number where digits stand: shapes, offsets, counts."""
    found = [match.span() for match in re.finditer(rb"\d{1,20}", data[:100_000])]
    if not found:
        return _flip(data, rng)
    start, end = rng.choice(found)
    return data[:start] + str(rng.choice(NUMBERS)).encode() + data[end:]


def _splice(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """The head of one file and the tail of another, or a piece of another inside."""
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
    if rng.random() < 0.5:
        return data[:at] + other[start:]
    return data[:at] + other[start : start + 300] + data[at:]


_BLIND: tuple[Callable[..., bytes], ...] = (
    _flip,
    _insert,
    _delete,
    _truncate,
    _repeat,
    _length,
    _digits,
    _splice,
)


def _in_zip(data: bytes, rng: random.Random, deeper: Callable[[bytes], bytes]) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:  # already damaged
        return _flip(data, rng)
    if not members:
        return _flip(data, rng)
    index = rng.randrange(len(members))
    name, content = members[index]
    action = rng.random()
    if action < 0.7:
        members[index] = name, deeper(content)
    elif action < 0.8:
        members[index] = rng.choice(("../x", "/x", "data.pkl", name * 2, "a/b")), content
    elif action < 0.9:
        del members[index]
    else:
        members[index] = name, members[rng.randrange(len(members))][1]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", rng.choice(METHODS)) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def _in_tar(data: bytes, rng: random.Random, deeper: Callable[[bytes], bytes]) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            members = [(info, archive.extractfile(info)) for info in archive if info.isreg()]
            contents = [(info, file.read() if file else b"") for info, file in members]
    except Exception:  # already damaged
        return _flip(data, rng)
    result = io.BytesIO()
    chosen = rng.randrange(len(contents)) if contents else -1
    with tarfile.open(fileobj=result, mode="w") as archive:
        for index, (info, content) in enumerate(contents):
            changed = deeper(content) if index == chosen else content
            info.size = len(changed)
            info.type = rng.choice(b"0" * 20 + b"1235SLxg").to_bytes()
            archive.addfile(info, io.BytesIO(changed))
    return result.getvalue()


def _in_pickle(data: bytes, rng: random.Random) -> bytes:
    """Instructions left out, repeated, exchanged, put in or given other arguments."""
    places: list[int] = []
    with contextlib.suppress(Exception):  # damaged from here on
        places.extend(place for _, _, place in pickletools.genops(data) if place is not None)
    if len(places) < 3:
        return _flip(data, rng)
    index = rng.randrange(len(places) - 1)
    start, end = places[index], places[index + 1]
    other = rng.randrange(len(places) - 1)
    piece = data[places[other] : places[other + 1]]
    new = rng.choice(
        (
            b"",
            data[start:end] * rng.choice((2, 3, 1000)),
            piece,
            piece + data[start:end],
            data[start:end] + rng.choice(OPCODES),
            data[start:end] + rng.choice(GADGETS),
            pickle.dumps(rng.choice(NUMBERS), 2)[2:-1],
            pickle.dumps(rng.choice(("", "os", "x" * 300, None, (), [], {}, 1.5)), 2)[2:-1],
        )
    )
    return data[:start] + new + data[end:]


def _in_header(data: bytes, start: int, code: str, deeper: Callable[[bytes], bytes]) -> bytes:
    """A header changed with its length set right."""
    width = struct.calcsize(code)
    size = int.from_bytes(data[start - width : start], "little")
    header = deeper(data[start : start + size])[:60_000]
    fits = struct.pack(code, len(header))
    return data[: start - width] + fits + header + data[start + size :]


def _in_json(data: bytes, rng: random.Random, deeper: Callable[[bytes], bytes]) -> bytes:
    """A base64 text opened, changed and closed, or another value in a field."""
    try:
        document = json.loads(data)
        key = rng.choice(list(document))
        if isinstance(document[key], str) and len(document[key]) > 200:
            changed = deeper(base64.b64decode(document[key]))
            document[key] = base64.b64encode(changed).decode()
        else:
            document[key] = rng.choice((None, -1, 2**70, "", [], {}, True, "nan", [[1, 2]], 0.5))
    except (ValueError, TypeError, IndexError, binascii.Error, RecursionError):
        return _flip(data, rng)
    return json.dumps(document).encode()
