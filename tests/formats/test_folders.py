"""Paths, folders, names and `PATH#name`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import randn

from probe.errors import PromptFormatError
from probe.formats import load
from tests.formats.made_files import torch_file


def test_a_folder_of_prompts_gives_them_all_under_distinct_names(tmp_path: Path) -> None:
    for place in ("a", "a/deep", "b"):
        (tmp_path / place).mkdir()
        np.save(tmp_path / place / "sst2.npy", np.ones((2, 3), np.float32))
    torch_file(tmp_path / "c" / "adapter_model.bin", {"prompt_embeddings": randn(4, 3)})
    (tmp_path / "README.md").write_text("# prompts")
    (tmp_path / ".hidden.npy").write_bytes(b"no")

    prompts = load(tmp_path)

    assert [p.name for p in prompts] == ["sst2", "sst2-2", "sst2-3", "c"]
    assert [p.provenance.notes for p in prompts[:2]] == [
        (),
        ("named 'sst2-2': another prompt here is called 'sst2' too",),
    ]
    (picked,) = load(f"{tmp_path}#sst2-3")
    assert picked.provenance.path == str(tmp_path / "b" / "sst2.npy")


def test_a_folder_without_prompts_says_what_it_found_first(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(PromptFormatError, match=r"notes\.md: expected a prompt file"):
        load(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptFormatError, match="expected prompt files, the folder is empty"):
        load(tmp_path)


@pytest.mark.parametrize("source", ["nowhere.npy", "no/such/file.npy", "a\x00b", "#", "x" * 5000])
def test_what_is_not_there_is_said(source: str, tmp_path: Path) -> None:
    with pytest.raises(PromptFormatError, match="expected a file, a folder or a hub id"):
        load(tmp_path / source if source == "nowhere.npy" else source)


def test_a_path_that_holds_a_hash_is_a_path(tmp_path: Path) -> None:
    np.save(tmp_path / "a#b.npy", np.ones((2, 3), np.float32))
    (prompt,) = load(tmp_path / "a#b.npy")
    assert prompt.name == "a#b"


def test_a_folder_of_too_many_entries_is_not_looked_through(tmp_path: Path) -> None:
    for number in range(1001):
        (tmp_path / str(number)).touch()
    with pytest.raises(PromptFormatError, match="more than 1000 entries"):
        load(tmp_path)
