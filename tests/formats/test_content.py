"""Containers are told apart by their first bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from probe.errors import PromptFormatError
from probe.formats import load


@pytest.mark.parametrize("header_bytes", [0x0180, 0x0280, 0x0380, 0x0480, 0x0580, 0x8B1F])
def test_a_safetensors_header_of_any_length_is_one(header_bytes: int, tmp_path: Path) -> None:
    """A length of 640 begins with the bytes of a pickle, 35615 with those of gzip."""
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    header = {"prompt": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    text = json.dumps(header).encode().ljust(header_bytes)
    path = tmp_path / "mine"
    path.write_bytes(len(text).to_bytes(8, "little") + text + rows.tobytes())
    (prompt,) = load(path)
    np.testing.assert_array_equal(prompt.embeddings, rows)


@pytest.mark.parametrize("data", [b"", b"x", b"hello world, this is text", bytes(64)])
def test_other_files_are_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    with pytest.raises(PromptFormatError, match=r"notes\.txt: expected a prompt file") as refusal:
        load(path)
    assert "\n" not in str(refusal.value)


def test_the_extension_does_not_matter(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.ones((2, 3), np.float32))
    renamed = (tmp_path / "mine.npy").rename(tmp_path / "mine.safetensors")
    (prompt,) = load(renamed)
    assert prompt.provenance.format == "npy"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html>", "a web page: .* /resolve/"),
        (b"<html><body>", "a web page"),
        (b"GGUF\x03\x00\x00\x00", "a GGUF model, which holds no prompt"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"Rar!\x1a\x07\x00", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"", "an empty file"),
        (b"hello", "5 bytes of something else"),
    ],
)
def test_what_is_taken_for_a_prompt_by_mistake_is_told(
    data: bytes, what: str, tmp_path: Path
) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(data)
    with pytest.raises(PromptFormatError, match=f"expected a prompt file .*found .*{what}"):
        load(tmp_path / "adapter_model.safetensors")
