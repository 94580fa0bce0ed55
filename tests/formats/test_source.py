"""Files are read whole, and only when they are files of reasonable size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from probe.errors import PromptFormatError
from probe.formats.containers.limits import MAX_COPIED_BYTES, MAX_FILE_BYTES, Budget, read_file


def test_reads_every_byte(tmp_path: Path) -> None:
    data = bytes(range(256)) * 500
    (tmp_path / "x").write_bytes(data)
    (tmp_path / "link").symlink_to(tmp_path / "x")
    assert read_file(tmp_path / "x") == read_file(str(tmp_path / "link")) == data


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptFormatError, match=r"x\.pt: expected a file, found nothing there"):
        read_file(tmp_path / "x.pt")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PromptFormatError, match="expected a regular file, found a folder"):
        read_file(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PromptFormatError, match="found a named pipe"):
        read_file(tmp_path / "pipe")


def test_a_device_is_refused() -> None:
    with pytest.raises(PromptFormatError, match="found a device"):
        read_file("/dev/zero")


def test_a_name_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptFormatError, match="cannot be opened"):
        read_file(f"{tmp_path}/a\0b")
    with pytest.raises(PromptFormatError, match="cannot be opened: File name too long"):
        read_file(tmp_path / ("a" * 5000))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "x", "wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(PromptFormatError, match="expected at most 220,000,000 bytes, found"):
        read_file(tmp_path / "x")


def test_a_budget_is_what_the_file_leaves() -> None:
    Budget(0).take(MAX_COPIED_BYTES, "it")
    with pytest.raises(PromptFormatError, match="it would unpack to more than"):
        Budget(0).take(MAX_COPIED_BYTES + 1, "it")
    with pytest.raises(PromptFormatError, match="it would unpack"):
        Budget(MAX_FILE_BYTES).take(50_000_000, "it")


def test_the_vocabulary_of_roberta_large_fits_beside_its_prompt() -> None:
    """OpenPrompt saves both in one file."""
    assert MAX_FILE_BYTES > 50_265 * 1024 * 4 + 1_000_000
