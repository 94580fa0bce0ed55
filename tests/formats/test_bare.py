"""Bare arrays: google-research, TGIS, thunlp, InSPEcT, raw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.prompt import SoftPrompt
from tests.formats.made_files import torch_file


def test_npy_rows_are_read_exactly(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(5, 7)).astype(np.float32)
    np.save(tmp_path / "sst2.npy", rows)
    (prompt,) = load(tmp_path / "sst2.npy")
    np.testing.assert_array_equal(prompt.embeddings, rows)
    assert (prompt.name, prompt.provenance.format, prompt.submodule) == ("sst2", "npy", None)


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_an_extensionless_google_checkpoint_tells_its_half(
    half: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    """prompt-tuning writes `numpy_checkpoints/checkpoint_N/encoder.prompt.prompt.prompt`."""
    folder = tmp_path / "numpy_checkpoints" / "checkpoint_1100100"
    folder.mkdir(parents=True)
    rows = rng.normal(size=(100, 16)).astype(np.float32)
    with (folder / f"{half}.prompt.prompt.prompt").open("wb") as file:
        np.save(file, rows)
    (prompt,) = load(tmp_path / "numpy_checkpoints")
    assert (prompt.name, prompt.submodule) == ("checkpoint_1100100", half)
    assert prompt.provenance.format == "google"
    np.testing.assert_array_equal(prompt.embeddings, rows)


def test_a_tgis_pair_that_shares_one_storage_differs(tmp_path: Path) -> None:
    """`save_pretrained`-like: both halves are views of one storage, the decoder behind."""
    storage = torch.randn(2, 4, 6)
    folder = tmp_path / "mt0"
    torch_file(folder / "encoder.pt", storage[0])
    torch_file(folder / "decoder.pt", storage[1])

    encoder, decoder = load(folder)

    assert [encoder.name, decoder.name] == ["mt0-encoder", "mt0-decoder"]
    assert [encoder.submodule, decoder.submodule] == ["encoder", "decoder"]
    np.testing.assert_array_equal(encoder.embeddings, storage[0].numpy())
    np.testing.assert_array_equal(decoder.embeddings, storage[1].numpy())
    (alone,) = load(folder / "decoder.pt")
    assert alone.submodule == "decoder"
    (picked,) = load(f"{folder}#decoder")
    np.testing.assert_array_equal(picked.embeddings, decoder.embeddings)


def test_a_lone_tgis_decoder_belongs_to_a_causal_model(tmp_path: Path) -> None:
    torch_file(tmp_path / "bloom" / "decoder.pt", torch.randn(4, 6))
    (prompt,) = load(tmp_path / "bloom")
    assert (prompt.name, prompt.submodule) == ("bloom", None)
    assert prompt.provenance.format == "tgis"


@pytest.mark.parametrize(
    ("file", "name", "reader"),
    [
        ("SST2.task_prompt", "SST2", "thunlp"),
        ("SST2Prompt_roberta/task_prompt", "SST2Prompt_roberta", "thunlp"),
        ("epoch_0004_acc_0.93.pt", "epoch_0004_acc_0.93", "inspect"),
        ("mine.pt", "mine", "torch"),
        ("no_extension", "no_extension", "torch"),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [torch.nn.Parameter, torch.Tensor])
def test_bare_torch_tensors_are_named_by_their_file(
    file: str, name: str, reader: str, legacy: bool, wrap: type, tmp_path: Path
) -> None:
    rows = torch.randn(4, 6)
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    torch.save(wrap(rows), path, _use_new_zipfile_serialization=not legacy)
    (prompt,) = load(path)
    assert (prompt.name, prompt.provenance.format) == (name, reader)
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_float_type_becomes_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    rows = torch.randn(4, 6).to(dtype)
    (prompt,) = load(torch_file(tmp_path / "p.pt", rows))
    np.testing.assert_array_equal(prompt.embeddings, rows.float().numpy())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.full((2, 3), np.nan, np.float32), "6 NaN or infinite values"),
        (np.array([[1.0, np.inf]]), "1 NaN or infinite values"),
        (np.zeros((2, 3), np.int64), "floating-point numbers, found int64"),
        (np.zeros((2, 3), bool), "floating-point numbers, found bool"),
        (np.zeros(3, np.float32), r"\[P, H\] array, found \(3,\)"),
        (np.zeros((2, 2, 3), np.float32), r"\[P, H\] array, found \(2, 2, 3\)"),
        (np.zeros((0, 3), np.float32), "non-empty"),
        (np.zeros((70_000, 2), np.float32), "table of word embeddings"),
        (np.array([[1e300]]), "1 NaN or infinite values"),
    ],
)
def test_arrays_that_are_no_prompt_are_refused(
    rows: np.ndarray, message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "bad.npy", rows)
    with pytest.raises(PromptFormatError, match=message):
        load(tmp_path / "bad.npy")


def test_a_written_npy_is_what_numpy_reads(tmp_path: Path, rng: np.random.Generator) -> None:
    prompt = SoftPrompt("mine", rng.normal(size=(3, 4)))
    path = save(prompt, tmp_path / "deep" / "mine.npy", to="npy")
    np.testing.assert_array_equal(np.load(path), prompt.embeddings)
    assert [p.name for p in path.parent.iterdir()] == ["mine.npy"]
