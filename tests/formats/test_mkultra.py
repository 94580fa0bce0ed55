"""mkultra JSON as `SoftPrompt.to_json` of corolla-johnson/mkultra writes it (soft_prompt.py)."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from probe.errors import PromptFormatError
from probe.formats import load

METADATA = {
    "name": "Emma",
    "uuid": "9ae742dd",
    "description": "An assassin",
    "epoch": 1623343566.2,
    "step": 5,
    "loss": 2.5,
}


def mkultra_file(path: Path, tensor: torch.Tensor, metadata: object = METADATA) -> Path:
    encoded = base64.b64encode(pickle.dumps(tensor, protocol=4)).decode("ascii")
    path.write_text(json.dumps({"metadata": metadata, "tensor": encoded}))
    return path


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6)])
def test_two_and_three_axes_give_the_same_rows(shape: tuple[int, ...], tmp_path: Path) -> None:
    tensor = torch.randn(shape)
    (prompt,) = load(mkultra_file(tmp_path / "e.json", tensor))
    np.testing.assert_array_equal(prompt.embeddings, tensor.reshape(4, 6).numpy())
    assert (prompt.name, prompt.provenance.format) == ("Emma", "mkultra")
    assert prompt.metrics == {"epoch": 1623343566.2, "step": 5, "loss": 2.5}
    assert prompt.config["description"] == "An assassin"


def test_without_metadata_the_file_gives_the_name(tmp_path: Path) -> None:
    (prompt,) = load(mkultra_file(tmp_path / "mine.json", torch.randn(2, 3), None))
    assert prompt.name == "mine"


@pytest.mark.parametrize(
    "tensor", ["no base64!", "é", "", base64.b64encode(b"junk").decode(), None]
)
def test_a_tensor_that_is_none_is_refused(tensor: object, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"metadata": METADATA, "tensor": tensor}))
    with pytest.raises(PromptFormatError, match=r"bad\.json"):
        load(path)


@pytest.mark.parametrize("document", ["[1, 2]", '{"metadata": {}}', "{}"])
def test_other_documents_are_refused(document: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(document)
    with pytest.raises(PromptFormatError, match="expected a soft prompt, found a json file"):
        load(path)
