"""KoboldAI files as its prompt_tuner.py writes and its fileops.py (`checksp`) accepts them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.prompt import SoftPrompt
from tests.formats.made_files import torch_file

META = {"name": "Noir", "author": "me", "supported": ["GPT-J-6B"], "description": "Rain."}


def kobold_file(path: Path, array: np.ndarray, meta: object = META, method: int = 14) -> Path:
    tensor = io.BytesIO()
    np.save(tensor, array, allow_pickle=False)
    with zipfile.ZipFile(path, "w", compression=method) as archive:
        archive.writestr("tensor.npy", tensor.getvalue())
        if meta is not None:
            archive.writestr("meta.json", json.dumps(meta))
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_gives_its_rows_and_meta(
    dtype: type, method: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    rows = rng.normal(size=(4, 6)).astype(dtype)
    (prompt,) = load(kobold_file(tmp_path / "n.zip", rows, method=method))
    np.testing.assert_array_equal(prompt.embeddings, rows.astype(np.float32))
    assert (prompt.name, prompt.provenance.format) == ("Noir", "koboldai")
    assert prompt.config == META
    assert prompt.base_model is None


def test_v2_is_bfloat16(tmp_path: Path) -> None:
    """`np.save` of a bfloat16 array, as the TPU backend makes it, says dtype V2."""
    rows = torch.randn(4, 6).bfloat16()
    raw = rows.view(torch.int16).numpy().view("V2")
    (prompt,) = load(kobold_file(tmp_path / "n.zip", raw))
    np.testing.assert_array_equal(prompt.embeddings, rows.float().numpy())


def test_without_meta_the_file_gives_the_name(tmp_path: Path) -> None:
    (prompt,) = load(kobold_file(tmp_path / "mine.zip", np.ones((2, 3), np.float32), None))
    assert prompt.name == "mine"


def test_the_trainers_own_file_gives_tensor_step_and_loss(tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    state = {"step": 7, "loss": 1.5, "tensor": rows, "opt_state": {"exp_avg": torch.randn(4, 6)}}
    (prompt,) = load(torch_file(tmp_path / "noir.mkusp", state))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
    assert prompt.metrics == {"step": 7, "loss": 1.5}
    assert (prompt.name, prompt.provenance.format) == ("noir", "koboldai")


def test_a_written_zip_passes_koboldais_own_check(tmp_path: Path, rng: np.random.Generator) -> None:
    prompt = SoftPrompt(
        "Noir", rng.normal(size=(4, 6)), base_model="gpt2", config={"description": "Rain."}
    )
    path = save(prompt, tmp_path / "n.zip", to="koboldai")

    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("tensor.npy").compress_type == zipfile.ZIP_LZMA
        array = np.load(io.BytesIO(archive.read("tensor.npy")))
        meta = json.loads(archive.read("meta.json"))
    assert array.dtype == np.float32
    assert array.shape == (4, 6)
    assert meta == {"name": "Noir", "supported": ["gpt2"], "description": "Rain."}
    (again,) = load(path)
    np.testing.assert_array_equal(again.embeddings, prompt.embeddings)
    assert again.name == "Noir"


def test_more_rows_than_koboldai_accepts_are_not_written(tmp_path: Path) -> None:
    long = SoftPrompt("long", np.ones((2048, 2)))
    with pytest.raises(PromptFormatError, match="2,048 rows, KoboldAI accepts at most 2047"):
        save(long, tmp_path / "l.zip", to="koboldai")
    assert not list(tmp_path.iterdir())
