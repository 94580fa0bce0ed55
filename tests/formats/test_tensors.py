"""npy and safetensors are read as their own libraries read them."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save as save_torch

from probe.errors import PromptFormatError
from probe.formats.containers.dtypes import RAW, Layout, read_array
from probe.formats.containers.limits import Budget
from probe.formats.containers.safetensors_npy import read_npy, read_safetensors

NUMBERS = hnp.floating_dtypes(sizes=(16, 32, 64), endianness="?") | hnp.integer_dtypes(
    endianness="?"
)
NUMBERS |= hnp.unsigned_integer_dtypes(endianness="?") | hnp.boolean_dtypes()
ARRAYS = NUMBERS.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0)))
EIGHT_BITS = [name for name in RAW if name.startswith("float8")]


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def expected(array: np.ndarray) -> np.ndarray:
    """The contract: floats as float32, other numbers as they are."""
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(
            np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
        )


def assert_same(found: np.ndarray, array: np.ndarray) -> None:
    wanted = expected(array)
    assert found.dtype == wanted.dtype
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, wanted)


@given(ARRAYS, st.booleans())
def test_npy_is_read_as_numpy_reads_it(array: np.ndarray, columns: bool) -> None:
    array = np.asfortranarray(array) if columns and array.ndim else array
    assert_same(read_npy(npy(array)), np.load(io.BytesIO(npy(array))))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_read(version: tuple[int, int]) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns that old numpys cannot read these
        np.lib.format.write_array(file, rows, version)
    assert_same(read_npy(file.getvalue()), rows)


@pytest.mark.parametrize("spelling", [b"'<V2'", b"'|V2'"])
def test_v2_is_bfloat16(spelling: bytes) -> None:
    """What numpy writes for the bfloat16 of other libraries (KoboldAI's trainer)."""
    rows = torch.randn(4, 6).bfloat16()
    raw = npy(rows.view(torch.int16).numpy().view("V2"))
    found = read_npy(raw.replace(b"'|V2'", spelling))
    assert_same(found, rows.float().numpy())


def test_a_header_as_python_2_wrote_it_is_read() -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }".ljust(117) + b"\n"
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert_same(read_npy(b"\x93NUMPY\x01\x00\x76\x00" + text + rows.tobytes()), rows)


def test_float32_stays_a_view_of_the_file() -> None:
    data = npy(np.ones((5, 5), np.float32))
    assert np.shares_memory(read_npy(data), np.frombuffer(data, np.uint8))
    assert not read_npy(data).flags.writeable


@pytest.mark.parametrize("array", [np.ones(2, complex), np.array(["a"]), np.ones(2, np.longdouble)])
def test_other_than_numbers_are_refused(array: np.ndarray) -> None:
    with pytest.raises(PromptFormatError, match="expected an array of numbers .*, found '"):
        read_npy(npy(array))


@pytest.mark.parametrize("name", sorted(RAW))
def test_safetensors_is_read_as_torch_reads_it(name: str) -> None:
    tensor = torch.randn(3, 4).mul(3).abs().to(getattr(torch, name))
    found, metadata = read_safetensors(
        save_torch({"a": tensor, "b": tensor[0].clone()}, {"k": "v"})
    )
    wanted = tensor.float() if tensor.is_floating_point() else tensor
    np.testing.assert_array_equal(found["a"], wanted.numpy())
    np.testing.assert_array_equal(found["b"], wanted[0].numpy())
    assert found["a"].dtype == wanted.numpy().dtype
    assert metadata == {"k": "v"}


@pytest.mark.parametrize("name", EIGHT_BITS)
def test_every_code_of_an_8_bit_float_has_its_value(name: str) -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    found = read_array(codes.numpy().tobytes(), Layout(name, (256,)), Budget(0))
    np.testing.assert_array_equal(found, codes.view(getattr(torch, name)).float().numpy())


def test_every_bfloat16_has_its_value() -> None:
    codes = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    found = read_array(codes.numpy().tobytes(), Layout("bfloat16", (65536,)), Budget(0))
    np.testing.assert_array_equal(found, codes.view(torch.bfloat16).float().numpy())


def test_a_scalar_and_an_empty_tensor_are_read() -> None:
    found, _ = read_safetensors(save_torch({"s": torch.tensor(2.5), "e": torch.ones(0, 4)}))
    assert found["s"] == np.float32(2.5)
    assert found["s"].shape == ()
    assert found["e"].shape == (0, 4)


def test_safetensors_without_metadata_or_tensors_is_read() -> None:
    assert read_safetensors(save_torch({})) == ({}, {})


@given(st.data())
def test_any_view_of_a_buffer_is_read_or_refused_as_torch_does(data: st.DataObject) -> None:
    """The oracle is torch.as_strided over the same storage."""
    storage = torch.arange(24, dtype=torch.float32)
    axes = data.draw(st.integers(0, 3))
    shape = tuple(data.draw(st.lists(st.integers(0, 5), min_size=axes, max_size=axes)))
    strides = tuple(data.draw(st.lists(st.integers(0, 8), min_size=axes, max_size=axes)))
    offset = data.draw(st.integers(0, 24))
    layout = Layout("float32", shape, strides, offset)
    try:
        wanted = storage.as_strided(shape, strides, offset).numpy()
    except RuntimeError:
        with pytest.raises(PromptFormatError, match="cut short or damaged"):
            read_array(storage.numpy().tobytes(), layout, Budget(0))
    else:
        assert_same(read_array(storage.numpy().tobytes(), layout, Budget(0)), wanted)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((-1, 2), None, 0),
        ((2, 2), (-2, 1), 2),
        ((2,), None, -1),
        ((True,), None, 0),
        ((2.0,), None, 0),
    ],
)
def test_numbers_that_are_no_counts_are_refused(shape, strides, offset) -> None:
    with pytest.raises(PromptFormatError, match="must be counts ≥ 0"):
        Layout("float32", shape, strides, offset)
