"""Archives are read as the standard library reads them, within bounds."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pytest

from probe.errors import PromptFormatError
from probe.formats.containers.limits import MAX_MEMBERS, Budget
from probe.formats.containers.tar import read_tar
from probe.formats.containers.zip import open_zip, read_zip
from tests.formats.bombs import tar_of, zip_of

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
NOISE = np.random.default_rng(0).bytes(10_000)


@pytest.mark.parametrize("method", METHODS)
def test_a_zip_is_read_as_the_standard_library_reads_it(method: int) -> None:
    data = zip_of(("a/b.npy", NOISE), ("zeros", bytes(99_999)), ("empty", b""), method=method)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert read_zip(data) == {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("preset", [0, 6, 9])
def test_an_lzma_window_wider_than_the_data_does_no_harm(preset: int) -> None:
    """The window is cut to the data's length, which no distance in the stream exceeds."""
    data = bytearray(zip_of(("x", NOISE * 20), method=zipfile.ZIP_LZMA))
    dictionary = data.index(b"\x05\x00\x5d") + 3
    data[dictionary : dictionary + 4] = (2**20 << preset % 8).to_bytes(4, "little")
    assert read_zip(bytes(data)) == {"x": NOISE * 20}


def test_folders_in_a_zip_are_left_out() -> None:
    assert read_zip(zip_of(("a/", b""), ("a/b", b"x"))) == {"a/b": b"x"}


def test_a_zip_with_something_before_it_is_read() -> None:
    assert read_zip(b"#!/bin/sh\n" + zip_of(("a", b"x"))) == {"a": b"x"}


def test_a_stored_member_is_no_copy() -> None:
    data = zip_of(("x", NOISE))
    view = open_zip(data)["x"].view(Budget(len(data)))
    assert view == NOISE
    assert view.obj is data


def test_a_zip64_member_is_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("x", "w", force_zip64=True) as member:
        member.write(NOISE)
    assert read_zip(file.getvalue()) == {"x": NOISE}


def test_too_many_members_are_refused() -> None:
    members = [(str(number), b"") for number in range(MAX_MEMBERS + 1)]
    with pytest.raises(PromptFormatError, match="10001 members, expected at most 10000"):
        read_zip(zip_of(*members))
    with pytest.raises(PromptFormatError, match="tar: expected at most 10000 members"):
        read_tar(tar_of(*[(name, b"0", data) for name, data in members]))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_is_read_as_the_standard_library_reads_it(layout: int, packed: bool) -> None:
    names = ["./model_config.yaml", "a" * 90 + "/" + "b" * 90, "empty"]
    names += ["ü" * 80] if layout != tarfile.USTAR_FORMAT else []
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=layout) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = (0 if name == "empty" else len(NOISE)), 1.5
            archive.addfile(info, io.BytesIO(NOISE))
    data = gzip.compress(file.getvalue()) if packed else file.getvalue()
    assert read_tar(data) == {name: b"" if name == "empty" else NOISE for name in names}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, b"S"])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes) -> None:
    with pytest.raises(PromptFormatError, match="'x' is a link, device or sparse file"):
        read_tar(tar_of(("x", kind, b"")))


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "C:\\x", "\\x", "a\\..\\..\\x"])
def test_names_that_lead_outside_are_refused(name: str) -> None:
    with pytest.raises(PromptFormatError, match="zip: the name .* leads out of the archive"):
        read_zip(zip_of((name, b"x")))
    with pytest.raises(PromptFormatError, match="tar: the name .* leads out of the archive"):
        read_tar(tar_of((name, b"0", b"x")))


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_member_never_unpacks_beyond_its_word(method: int) -> None:
    data = zip_of(("x", bytes(100_000)), method=method)
    small = data.replace((100_000).to_bytes(4, "little"), (99_999).to_bytes(4, "little"))
    assert small != data
    with pytest.raises(PromptFormatError, match="should have 99999 bytes, found 100000: damaged"):
        read_zip(small)


def test_damage_is_told_by_the_checksum() -> None:
    data = bytearray(zip_of(("x", NOISE)))
    data[5000] ^= 1
    with pytest.raises(PromptFormatError, match="'x' is damaged: its checksum differs"):
        read_zip(bytes(data))


def test_members_that_share_bytes_are_refused() -> None:
    data = zip_of(("first", NOISE), ("other", NOISE))
    second = data.index(b"PK\x03\x04", 10)
    place = data.index(b"other", data.index(b"PK\x01\x02")) - 4
    assert data[place : place + 4] == second.to_bytes(4, "little")
    with pytest.raises(PromptFormatError, match="overlaps another member"):
        read_zip(data[:place] + bytes(4) + data[place + 4 :])


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", bytes(512), lzma.compress(b"x")])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(PromptFormatError, match="cut short or damaged"):
        read_zip(data)
    with pytest.raises(PromptFormatError, match="tar: "):
        read_tar(data)
