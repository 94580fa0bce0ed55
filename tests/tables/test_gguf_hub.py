"""GGUF files on the hub: of a file of weights only the header and the table are fetched."""

import numpy as np
import pytest
import torch
from gguf import dequantize
from huggingface_hub import constants
from huggingface_hub.utils import close_session
from numpy.testing import assert_array_equal

from probe.errors import ModelNotFoundError
from probe.models import load_model
from probe.tables import load_vocabulary
from tests.tables.gguf_made import (
    byte_level_fields,
    causal,
    quantised,
    tensors_of,
    train_byte_level,
    write_gguf,
)
from tests.tables.hub_server import serve

REPO, FILE = "org/tiny-gguf", "quants/tiny-Q8_0.gguf"
ROWS = 420


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one repository that holds no configuration, only a GGUF file of some megabytes."""
    folder = tmp_path / "hub" / REPO
    (folder / "quants").mkdir(parents=True)
    (folder / "README.md").write_text("a model")
    fields = byte_level_fields(train_byte_level(), ROWS, "qwen2")
    model, metadata = causal("qwen2", ROWS)
    tensors = tensors_of(model, "qwen2", "Q8_0")
    more = np.random.default_rng(0).normal(size=(4000, 512)).astype(np.float32)
    tensors = tensors | {"blk.0.spare.weight": quantised(more, "F32")}
    write_gguf(folder / FILE, "qwen2", fields, metadata, tensors)
    with serve(tmp_path / "hub") as server:
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        server.tensors = tensors
        yield server
        close_session()


def test_header_and_table_are_all_that_is_sent(hub):
    found = load_vocabulary(f"{REPO}:{FILE}")
    assert_array_equal(found.table, dequantize(*hub.tensors["token_embd.weight"]))
    assert found.decode(found.encode("the film")) == "the film"
    size = (hub.root / REPO / FILE).stat().st_size
    assert 0 < hub.total < size / 4
    hub.forget()
    again = load_vocabulary(f"{REPO}:{FILE}", "main")
    assert again.fingerprint == found.fingerprint
    assert hub.total == 0


def test_what_was_read_once_is_there_without_the_network(hub, monkeypatch):
    found = load_vocabulary(f"{REPO}:{FILE}")
    hub.forget()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_vocabulary(f"{REPO}:{FILE}").fingerprint == found.fingerprint
    assert hub.requests == []


def test_running_fetches_the_file_whole_and_once(hub):
    running = load_model(f"{REPO}:{FILE}")
    assert running.name == f"{REPO}:{FILE}"
    weight = running.model.get_input_embeddings().weight
    assert torch.equal(weight, torch.tensor(dequantize(*hub.tensors["token_embd.weight"])))
    size = (hub.root / REPO / FILE).stat().st_size
    assert hub.sent["tiny-Q8_0.gguf"] < 1.5 * size


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"{REPO}:quants/none.gguf", "has no quants/none.gguf: check the file's name"),
        ("org/nothing:m.gguf", "is no model at"),
        (REPO, r"no config.json: .*org/name:FILE.gguf"),
        (f"{REPO}:README.md", "no model at"),
    ],
)
def test_what_is_not_there_is_one_line(hub, name, words):
    with pytest.raises(ModelNotFoundError, match=words) as said:
        load_vocabulary(name)
    assert "\n" not in str(said.value)


def test_a_server_without_ranges_is_borne_for_a_small_file_only(hub):
    hub.ranges = False
    found = load_vocabulary(f"{REPO}:{FILE}")
    assert_array_equal(found.table, dequantize(*hub.tensors["token_embd.weight"]))
