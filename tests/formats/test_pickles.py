"""Benign pickles give what torch and numpy give, in every layout and protocol."""

from __future__ import annotations

import argparse
import base64
import collections
import io
import json
import pathlib
import pickle
import time
import types
import warnings
import zipfile
from pathlib import Path

import dill
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from probe.errors import PromptFormatError
from probe.formats.containers.dtypes import RAW
from probe.formats.pickle.reader import read_pickle
from tests.formats.gadgets import in_legacy, in_zip, inner, name_of

SHARED = Path(__file__).parents[3] / "shared" / "prompts"
TYPES = sorted(RAW)


def saved(value: object, **options: object) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def assert_same(found: object, wanted: object) -> None:
    """The contract: tensors and arrays as arrays, floats as float32; containers as they are."""
    if isinstance(wanted, torch.Tensor):
        wanted = wanted.detach()
        wanted = (wanted.float() if wanted.is_floating_point() else wanted).numpy()
    if isinstance(wanted, np.ndarray):
        wanted = wanted.astype(np.float32) if wanted.dtype.kind == "f" else wanted
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(found, wanted)
    elif isinstance(wanted, dict):
        assert type(found) is dict
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_same(found[key], value)
    elif isinstance(wanted, list | tuple):
        assert type(found) is (list if isinstance(wanted, list) else tuple)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert found == wanted
        assert type(found) is type(wanted)


def everything() -> dict[str, object]:
    """What checkpoints hold beside tensors."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return {
        "state_dict": model.state_dict(),  # an OrderedDict with _metadata as its state
        "optimizer_states": [optimiser.state_dict()],
        "parameter": model[0].weight,
        "view": base[1:3, ::2],
        "transposed": base.T,
        "expanded": base[:1].expand(5, 6),
        "scalar": torch.tensor(3.5),
        "empty": torch.ones(0, 7),
        "numbers": [0, -1, 255, 65536, -(2**31), 2**40, 2**90, 1.5, float("inf"), True, False],
        "texts": ["", "é☃😀", "a" * 300, b"", b"\x00\xff", b"b" * 300],
        "containers": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], {}, {1: {None: "a"}}],
        "sets": [{1, 2}, set(), frozenset({"a"})],
        "complex": 1 - 2j,
    }


class TestTorchFiles:
    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_everything_in_a_checkpoint_is_read(self, zipped: bool, protocol: int) -> None:
        value = everything()
        data = saved(value, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
        assert_same(read_pickle(data), value)

    @pytest.mark.parametrize("zipped", [True, False])
    def test_the_oracle_reads_the_same(self, zipped: bool) -> None:
        left_out = ("sets", "texts")  # torch refuses frozen sets and empty bytes
        value = {key: item for key, item in everything().items() if key not in left_out}
        data = saved(value, _use_new_zipfile_serialization=zipped)
        assert_same(read_pickle(data), torch.load(io.BytesIO(data), weights_only=True))

    @pytest.mark.parametrize("zipped", [True, False])
    def test_dill_writes_the_same_layouts(self, zipped: bool) -> None:
        value = everything()
        data = saved(value, pickle_module=dill, _use_new_zipfile_serialization=zipped)
        assert_same(read_pickle(data), value)

    @pytest.mark.parametrize("name", TYPES)
    @pytest.mark.parametrize("zipped", [True, False])
    def test_every_dtype_is_read(self, name: str, zipped: bool) -> None:
        tensor = torch.randn(3, 5).abs().mul(3).to(getattr(torch, name))
        data = saved([tensor, tensor.T], _use_new_zipfile_serialization=zipped)
        assert_same(read_pickle(data), [tensor, tensor.T])

    @pytest.mark.parametrize("zipped", [True, False])
    def test_two_views_of_one_storage_differ(self, zipped: bool) -> None:
        """As the encoder and decoder of a TGIS pair, the second at an offset."""
        both = torch.randn(16, 8)
        data = saved({"e": both[:8], "d": both[8:]}, _use_new_zipfile_serialization=zipped)
        found = read_pickle(data)
        assert_same(found, {"e": both[:8], "d": both[8:]})
        alone = saved(both[8:], _use_new_zipfile_serialization=zipped)
        assert_same(read_pickle(alone), both[8:])

    def test_parameters_with_and_without_attributes_are_tensors(self) -> None:
        plain = torch.nn.Parameter(torch.randn(2, 3), requires_grad=False)
        marked = torch.nn.Parameter(torch.randn(2, 3))
        marked.origin = "vocabulary"
        assert_same(read_pickle(saved([plain, marked])), [plain, marked])
        assert_same(read_pickle(pickle.dumps([plain, marked])), [plain, marked])

    def test_a_tensor_with_attributes_is_its_numbers(self) -> None:
        tensor = torch.randn(2, 3)
        tensor.note = {"a": 1}
        assert_same(read_pickle(saved(tensor)), tensor)

    @pytest.mark.parametrize("protocol", range(6))
    def test_pickled_tensors_are_read(self, protocol: int) -> None:
        """As mkultra's, whose storages are torch files within the pickle."""
        value = [torch.randn(2, 3), torch.nn.Parameter(torch.randn(4)), torch.randn(3).half()]
        assert_same(read_pickle(pickle.dumps(value, protocol)), value)

    @pytest.mark.parametrize("location", ["cuda:0", "mps", "xla:1", "cpu"])
    def test_the_device_a_tensor_was_on_does_not_matter(self, location: str) -> None:
        tensor = torch.randn(2, 3)
        data = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(saved(tensor))) as old, zipfile.ZipFile(data, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name.endswith("data.pkl"):
                    content = content.replace(
                        inner("cpu")[:8], inner(location)[: 5 + len(location)]
                    )
                new.writestr(name, content)
        assert location.encode() in data.getvalue()
        assert_same(read_pickle(data.getvalue()), tensor)

    def test_big_endian_numbers_are_read(self) -> None:
        rows = np.arange(12, dtype=np.float32).reshape(3, 4)
        little = saved(torch.from_numpy(rows))
        data = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(little)) as old, zipfile.ZipFile(data, "w") as new:
            for name in old.namelist():
                swapped = {
                    "archive/byteorder": b"big",
                    "archive/data/0": rows.astype(">f4").tobytes(),
                }
                new.writestr(name, swapped.get(name, old.read(name)))
        assert_same(read_pickle(data.getvalue()), rows)

    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    def test_a_file_that_was_packed_again_is_read(self, method: int) -> None:
        tensor = torch.randn(20, 30)
        data = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(saved(tensor))) as old,
            zipfile.ZipFile(data, "w", method) as new,
        ):
            for name in old.namelist():
                new.writestr(name.removeprefix("archive/"), old.read(name))
        assert_same(read_pickle(data.getvalue()), tensor)

    def test_a_file_saved_without_checksums_is_read(self) -> None:
        tensor = torch.randn(2, 3)
        torch.serialization.set_crc32_options(False)
        try:
            data = saved(tensor)
        finally:
            torch.serialization.set_crc32_options(True)
        assert_same(read_pickle(data), tensor)

    def test_float32_stays_a_view_of_the_file(self) -> None:
        data = saved(torch.randn(64, 64))
        found = read_pickle(data)
        assert np.shares_memory(found, np.frombuffer(data, np.uint8))
        assert not found.flags.writeable

    def test_tied_tensors_are_read_once(self) -> None:
        tensor = torch.randn(4, 4).half()
        found = read_pickle(saved({"a": tensor, "b": tensor}))
        assert found["a"] is found["b"]

    @pytest.mark.slow
    def test_a_long_checkpoint_is_read_in_time(self) -> None:
        """Some 200,000 opcodes, as optimiser state makes them."""
        state = {f"layer{i}": {"exp_avg": torch.zeros(2), "step": i} for i in range(6000)}
        data = saved(state, _use_new_zipfile_serialization=False)
        start = time.process_time()
        found = read_pickle(data)
        assert time.process_time() - start < 8  # a reader that is quadratic takes minutes
        assert len(found) == 6000

    @settings(deadline=None)
    @given(st.data())
    def test_any_view_is_read(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([n for n in TYPES if "8" not in n]))
        storage = torch.arange(60).to(getattr(torch, name))
        shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=3)))
        strides = tuple(data.draw(st.integers(0, 5)) for _ in shape)
        tensor = storage.as_strided(shape, strides, data.draw(st.integers(0, 10)))
        zipped = data.draw(st.booleans())
        assert_same(read_pickle(saved(tensor, _use_new_zipfile_serialization=zipped)), tensor)


class TestPlainPickles:
    @pytest.mark.parametrize("protocol", range(6))
    def test_plain_values_are_read(self, protocol: int) -> None:
        value = everything()
        assert_same(read_pickle(pickle.dumps(value, protocol)), value)

    @given(
        hnp.arrays(
            hnp.floating_dtypes(sizes=(16, 32, 64), endianness="?")
            | hnp.integer_dtypes(endianness="?")
            | hnp.boolean_dtypes(),
            hnp.array_shapes(min_dims=0, min_side=0),
        ),
        st.integers(0, 5),
        st.booleans(),
    )
    def test_arrays_are_read(self, array: np.ndarray, protocol: int, columns: bool) -> None:
        array = np.asfortranarray(array) if columns and array.ndim else array
        with np.errstate(over="ignore", invalid="ignore"):
            kind = np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
            assert_same(read_pickle(pickle.dumps(array, protocol)), array.astype(kind))

    def test_arrays_of_older_numpys_are_read(self) -> None:
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        data = pickle.dumps([array, array[0, 1]], 2)
        assert b"numpy._core" in data
        assert_same(read_pickle(data.replace(b"numpy._core", b"numpy.core")), [array, 1.0])

    def test_numpy_scalars_are_numbers(self) -> None:
        value = [np.float32(1.5), np.int64(-3), np.bool_(True)]
        assert read_pickle(pickle.dumps(value)) == [1.5, -3, True]

    def test_an_array_of_python_2_is_read(self) -> None:
        array = np.array([1.5, -2], np.float32)
        data = b"\x80\x02" + name_of("numpy.core.multiarray", "_reconstruct")
        data += b"(" + name_of("numpy", "ndarray") + inner((0,)) + b"U\x01btR("
        data += b"K\x01" + inner((2,)) + name_of("numpy", "dtype") + b"(U\x02f4K\x00K\x01tR("
        data += b"K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        data += b"U\x08" + array.tobytes() + b"tb."
        assert_same(read_pickle(data), array)

    def test_texts_of_python_2_are_read(self) -> None:
        found = read_pickle(rb"(lp0" + b"\n" + rb"S'it\'s\n\xe9\\'" + b'\naS"\'"\naU\x01\xe9a.')
        assert found == ["it's\n\xe9\\", "'", "\xe9"]

    def test_a_path_pickled_by_python_3_13_is_read(self) -> None:
        data = b"cpathlib._local\nPosixPath\n(V/\nVdata\ntR."
        assert read_pickle(data) == "/data"

    def test_records_become_dicts_and_names_become_texts(self) -> None:
        value = {
            "hparams": argparse.Namespace(lr=0.3, out=pathlib.PurePosixPath("/a/b")),
            "record": types.SimpleNamespace(a=1),
            "dtype": torch.float16,
            "device": torch.device("cuda", 1),
            "size": torch.Size([2, 3]),
            "default": collections.defaultdict(list, a=[1]),
            "counter": collections.Counter("aab"),
            "bytes": bytearray(b"ab"),
            "numpy": np.dtype("f4"),
        }
        wanted = {
            "hparams": {"lr": 0.3, "out": "/a/b"},
            "record": {"a": 1},
            "dtype": "torch.float16",
            "device": "cuda:1",
            "size": (2, 3),
            "default": {"a": [1]},
            "counter": {"a": 2, "b": 1},
            "bytes": b"ab",
        }
        for protocol in (2, 4):
            found = read_pickle(saved(value, pickle_protocol=protocol))
            assert "f4" in found.pop("numpy")
            assert_same(found, wanted)

    @pytest.mark.parametrize("protocol", [0, 1])
    def test_records_of_old_protocols_are_dicts(self, protocol: int) -> None:
        assert read_pickle(pickle.dumps(argparse.Namespace(a=1), protocol)) == {"a": 1}

    def test_what_is_shared_stays_shared(self) -> None:
        inside = {"a": 1}
        found = read_pickle(pickle.dumps([inside, inside]))
        assert found[0] is found[1]


class TestRefusals:
    def test_a_container_in_itself(self) -> None:
        loop: list[object] = []
        loop.append(loop)
        with pytest.raises(PromptFormatError, match="a container contains itself"):
            read_pickle(pickle.dumps(loop))

    def test_a_module_names_its_class(self) -> None:
        with pytest.raises(PromptFormatError, match=r"asks for torch\.nn\.modules\.linear\.Linear"):
            read_pickle(saved(torch.nn.Linear(2, 2)))

    def test_a_tensor_without_numbers(self) -> None:
        storage = b"(" + inner("storage") + name_of("torch", "FloatStorage")
        storage += inner("0") + inner("meta") + inner(4) + b"tQ"
        with pytest.raises(PromptFormatError, match="on the meta device: they have no numbers"):
            read_pickle(in_zip(b"\x80\x02" + storage + b".", _0=bytes(16)))

    def test_torch_script(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
            file = io.BytesIO()
            torch.jit.save(module, file)
        with pytest.raises(PromptFormatError, match="found a TorchScript program"):
            read_pickle(file.getvalue())

    def test_a_legacy_file_of_another_version(self) -> None:
        data = in_legacy(b"N.").replace(b"M\xe9\x03", b"M\xea\x03")
        with pytest.raises(PromptFormatError, match="a torch file of unknown version 1002"):
            read_pickle(data)

    @pytest.mark.parametrize(
        "data", [b"", b"\x80", b"\x80\x02", b"\x80\x02]", b"\x80\x02a.", b"zz"]
    )
    def test_damage(self, data: bytes) -> None:
        with pytest.raises(PromptFormatError, match="the pickle (is|takes)"):
            read_pickle(data)


class OnCpu(pickle.Unpickler):
    """Opens known files that were written on a GPU."""

    def find_class(self, module: str, name: str) -> object:
        if name == "_load_from_bytes":
            return lambda data: torch.load(io.BytesIO(data), "cpu", weights_only=False)
        return super().find_class(module, name)


@pytest.mark.skipif(not SHARED.exists(), reason="real prompt files are not here")
class TestRealFiles:
    @pytest.mark.parametrize("pattern", ["*.pt", "*.bin", "*.task_prompt"])
    def test_torch_files_are_read_as_torch_reads_them(self, pattern: str) -> None:
        paths = sorted(SHARED.rglob(pattern))
        assert paths
        for path in paths:
            assert_same(read_pickle(path.read_bytes()), torch.load(path, "cpu", weights_only=True))

    def test_mkultra_tensors_are_read_as_pickle_reads_them(self) -> None:
        """These files are known, so pickle may open them."""
        paths = sorted(SHARED.rglob("*gpt2.json")) + sorted(SHARED.rglob("iotest.json"))
        assert paths
        for path in paths:
            data = base64.b64decode(json.loads(path.read_text())["tensor"])
            assert_same(read_pickle(data), OnCpu(io.BytesIO(data)).load())
