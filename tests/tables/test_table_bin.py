"""`.bin` checkpoints: the restricted reader, one shard, and only the table's own numbers."""

import collections
import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from probe.errors import ModelNotFoundError
from probe.tables import load_vocabulary
from probe.tables.files import LocalFiles
from probe.tables.torch_files import TorchFile
from tests.tables.hub_server import serve
from tests.tables.tiny_models import assert_same, build, save

NAME = "wte.weight"
TABLE = torch.arange(12, dtype=torch.float32).reshape(4, 3)


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text('{"model_type": "gpt2"}')
    return path


def _saved(path: Path, state: Any, *, legacy: bool = False) -> Path:
    torch.save(
        state, _folder(path) / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy
    )
    return path


LAYOUTS = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


@pytest.mark.parametrize("layout", ["bin", "bin shards", "legacy bin"])
@pytest.mark.parametrize("family", ["gpt2", "bloom", "t5", "bert", "opt"])
@pytest.mark.parametrize("head", [False, True], ids=["base", "head"])
def test_every_layout_holds_the_models_own_table(
    family: str, layout: Any, head: bool, tmp_path: Path
) -> None:
    model = build(family, head=head)
    assert_same(load_vocabulary(save(model, tmp_path, layout)), model.get_input_embeddings())


@LAYOUTS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_table_keeps_its_stored_precision(
    dtype: torch.dtype, legacy: bool, tmp_path: Path
) -> None:
    state = {"a": torch.ones(5), NAME: TABLE.to(dtype), "b": torch.ones(3, dtype=torch.int64)}
    vocabulary = load_vocabulary(_saved(tmp_path, state, legacy=legacy))
    np.testing.assert_array_equal(vocabulary.rows(slice(None)), TABLE.numpy())
    assert vocabulary.table.itemsize == dtype.itemsize
    assert not vocabulary.table.flags.writeable


@LAYOUTS
def test_rows_that_share_a_storage_are_read_from_their_own_offset(
    legacy: bool, tmp_path: Path
) -> None:
    both = torch.cat([TABLE + 100, TABLE])
    state = {"other": both[:4], NAME: both[4:], "parameter": torch.nn.Parameter(TABLE)}
    vocabulary = load_vocabulary(_saved(tmp_path, state, legacy=legacy))
    np.testing.assert_array_equal(vocabulary.table, TABLE.numpy())


@LAYOUTS
def test_only_the_pickle_is_read_of_a_large_file(legacy: bool, tmp_path: Path) -> None:
    """Whatever the other tensors weigh, a few kilobytes are read before the table is mapped."""
    state = {"other": torch.zeros(3_000_000), NAME: TABLE}
    folder = _saved(tmp_path, state, legacy=legacy)

    class Counted(LocalFiles):
        count = 0

        def read(self, name: str, start: int, stop: int) -> bytes:
            self.count += stop - start
            return super().read(name, start, stop)

    files = Counted(folder, "it")
    weights = TorchFile(files, "pytorch_model.bin")
    assert weights.shape(NAME) == weights.span(NAME).shape == (4, 3)
    assert files.count < 2_000_000 < 12_000_000 < (files.size("pytorch_model.bin") or 0)


@pytest.mark.slow
def test_a_hub_model_with_only_a_bin_costs_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    table = torch.randn(2000, 64)
    state = {"h.0.weight": torch.zeros(4_000_000), NAME: table}
    (tmp_path / "hub" / "org").mkdir(parents=True)
    _saved(tmp_path / "hub" / "org" / "bin-only", state)
    with serve(tmp_path / "hub") as hub:
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))
        vocabulary = load_vocabulary("org/bin-only")
        np.testing.assert_array_equal(vocabulary.table, table.numpy())
        assert hub.total < table.nbytes + 200_000
        hub.forget()
        load_vocabulary("org/bin-only")
        assert hub.total == 0
        close_session()


class _Gadget:
    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.made = (call, args)

    def __reduce__(self) -> Any:
        return self.made


def _gadgets(marker: Path) -> dict[str, object]:
    command = f"touch {marker}"
    return {
        "os.system": _Gadget(os.system, command),
        "eval": _Gadget(eval, f"open({str(marker)!r}, 'w')"),
        "exec": _Gadget(exec, f"open({str(marker)!r}, 'w')"),
        "open": _Gadget(open, str(marker), "w"),
        "getattr": _Gadget(getattr, marker, "touch"),
    }


@LAYOUTS
@pytest.mark.parametrize("name", ["os.system", "eval", "exec", "open", "getattr"])
def test_a_pickle_that_calls_something_is_refused_unrun(
    name: str, legacy: bool, tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    folder = _saved(tmp_path, {"x": _gadgets(marker)[name], NAME: TABLE}, legacy=legacy)
    with pytest.raises(ModelNotFoundError, match="damaged.*probe reads only tensors") as caught:
        load_vocabulary(folder)
    assert not marker.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({NAME: 3}, "a int where the table should be"),
        ({NAME: TABLE.to(torch.int8)}, r"quantised .int8."),
        ({NAME: TABLE[0].clone()}, "shape"),
        ({NAME: TABLE.T}, "rows do not follow each other"),
        ({NAME: TABLE[:, :2]}, "rows do not follow each other"),
        ({"other": TABLE}, "no embedding table"),
        ([TABLE], "no embedding table"),
        (collections.OrderedDict(), "no embedding table"),
    ],
    ids=[
        "a number",
        "integers",
        "a vector",
        "transposed",
        "a slice",
        "absent",
        "a list",
        "empty",
    ],
)
@LAYOUTS
def test_a_state_dict_without_a_plain_table_is_one_clear_error(
    state: Any, words: str, legacy: bool, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFoundError, match=words):
        load_vocabulary(_saved(tmp_path, state, legacy=legacy))


@pytest.mark.filterwarnings("ignore:.*quantize.*deprecated")
@LAYOUTS
def test_what_torch_quantised_is_not_called_damaged(legacy: bool, tmp_path: Path) -> None:
    state = {NAME: torch.quantize_per_tensor(TABLE.float(), 0.1, 0, torch.qint8)}
    with pytest.raises(ModelNotFoundError, match=r"bin: its tensors are quantised \(torch\._?"):
        load_vocabulary(_saved(tmp_path, state, legacy=legacy))


@LAYOUTS
def test_a_file_cut_anywhere_is_one_clear_error(legacy: bool, tmp_path: Path) -> None:
    weights = _saved(tmp_path, {NAME: TABLE}, legacy=legacy) / "pytorch_model.bin"
    whole = weights.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        weights.write_bytes(whole[:length])
        with pytest.raises(ModelNotFoundError, match="damaged"):
            load_vocabulary(tmp_path)


@LAYOUTS
def test_a_damaged_file_never_raises_anything_else(legacy: bool, tmp_path: Path) -> None:
    weights = _saved(tmp_path, {"a": torch.ones(2), NAME: TABLE}, legacy=legacy)
    weights = weights / "pytorch_model.bin"
    whole, chance = weights.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        weights.write_bytes(damaged)
        try:
            load_vocabulary(tmp_path)
        except ModelNotFoundError:
            refused += 1
    assert refused > 50


def _rezipped(path: Path, change: Callable[[str, bytes], bytes | None], method: int) -> None:
    """Write a torch zip again with its members changed or left out."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as old:
        members = [(name, change(name, old.read(name))) for name in old.namelist()]
    with zipfile.ZipFile(path, "w", method) as new:
        for name, data in members:
            if data is not None:
                new.writestr(name, data)


@pytest.mark.parametrize(
    ("change", "method", "words"),
    [
        (lambda name, data: data, zipfile.ZIP_DEFLATED, "compressed"),
        (lambda name, data: None if "/data/" in name else data, 0, "numbers are missing"),
        (lambda name, data: data[:-1] if "/data/" in name else data, 0, "cut short"),
        (lambda name, data: b"big" if "byteorder" in name else data, 0, "big-endian"),
        (lambda name, data: None if "data.pkl" in name else data, 0, "without data.pkl"),
    ],
    ids=["compressed", "no numbers", "too few numbers", "big-endian", "no pickle"],
)
def test_a_zip_that_torch_would_not_write_is_one_clear_error(
    change: Any, method: int, words: str, tmp_path: Path
) -> None:
    _rezipped(_saved(tmp_path, {NAME: TABLE}) / "pytorch_model.bin", change, method)
    with pytest.raises(ModelNotFoundError, match=words):
        load_vocabulary(tmp_path)


def test_a_zip_directory_beyond_reason_is_not_read(tmp_path: Path) -> None:
    weights = _saved(tmp_path, {NAME: TABLE}) / "pytorch_model.bin"
    whole = bytearray(weights.read_bytes())
    end = whole.rindex(b"PK\5\6")
    filler = 40_000_000
    whole[end + 12 : end + 16] = struct.pack("<I", filler + 100)
    whole[end + 16 : end + 20] = struct.pack("<I", end)
    weights.write_bytes(whole[:end] + bytes(filler) + whole[end:])
    with pytest.raises(ModelNotFoundError, match="zip directory beyond"):
        load_vocabulary(tmp_path)


def test_a_bare_pickle_is_not_a_checkpoint(tmp_path: Path) -> None:
    data = b"".join(pickle.dumps(value, protocol=2) for value in (1, 2, {}, {}, []))
    (_folder(tmp_path) / "pytorch_model.bin").write_bytes(data)
    with pytest.raises(ModelNotFoundError, match="not a file that torch saved"):
        load_vocabulary(tmp_path)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    index = '{"weight_map": {"wte.weight": "pytorch_model-00001-of-00002.bin"}}'
    (_folder(tmp_path) / "pytorch_model.bin.index.json").write_text(index)
    with pytest.raises(ModelNotFoundError, match="lacks pytorch_model-00001-of-00002.bin"):
        load_vocabulary(tmp_path)
