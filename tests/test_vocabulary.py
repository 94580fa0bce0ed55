import hashlib

import numpy as np
import pytest

from probe.analysis.neighbours import nearest_tokens
from probe.analysis.references import sample_reference
from probe.arrays import to_float32
from probe.vocabulary import MadeRows, TokenMasks, Vocabulary


def vocabulary_of(table, dtype, **fields):
    none = np.zeros(len(table), dtype=bool)
    tokens = tuple(f"t{i}" for i in range(len(table)))
    return Vocabulary("toy", tokens, table, dtype, TokenMasks(*[none] * 5), **fields)


def test_bfloat16_is_upcast_exactly():
    raw = np.array([[0x3F80, 0xC000, 0x0001, 0x7F7F]], np.uint16)  # 1, −2, smallest, largest
    torch = pytest.importorskip("torch")
    expected = torch.tensor(raw.view(np.int16)).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(vocabulary_of(raw, "BF16").rows([0]), expected)


def test_rows_take_slices_and_ids():
    vocabulary = vocabulary_of(np.arange(6, dtype=np.float16).reshape(3, 2), "F16")
    assert vocabulary.rows(slice(1, 3)).tolist() == [[2, 3], [4, 5]]
    assert vocabulary.rows([2, 0]).tolist() == [[4, 5], [0, 1]]
    assert vocabulary.rows([2]).dtype == np.float32
    assert (len(vocabulary), vocabulary.width) == (3, 2)


def test_the_fingerprint_sees_table_precision_and_tokenizer():
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    changed = table.copy()
    changed[2, 1] = 9
    prints = {
        vocabulary_of(table, "F32").fingerprint,
        vocabulary_of(table, "F32", tokenizer_sha256="x").fingerprint,
        vocabulary_of(changed, "F32").fingerprint,
        vocabulary_of(table.astype(np.float16), "F16").fingerprint,
        vocabulary_of(table.reshape(2, 3), "F32").fingerprint,
    }
    assert len(prints) == 5
    assert vocabulary_of(table.copy(), "F32").fingerprint in prints


def test_a_factor_is_in_the_rows_norms_and_fingerprint_and_one_changes_nothing():
    table = np.array([[3, 4], [0.5, 0]], np.float32)
    plain, scaled = vocabulary_of(table, "F32"), vocabulary_of(table, "F32", factor=2.0)
    assert scaled.rows([0, 1]).tolist() == [[6, 8], [1, 0]]
    assert scaled.norms.tolist() == [10, 1]
    assert np.shares_memory(scaled.table, table)
    assert scaled.fingerprint != plain.fingerprint
    assert plain.fingerprint == vocabulary_of(table, "F32", factor=1.0).fingerprint
    assert plain.fingerprint == hashlib.sha256(b"F32 (2, 2) " + table.tobytes()).hexdigest()


@pytest.mark.parametrize("stored", ["F32", "F16", "BF16"])
def test_products_are_rounded_as_a_layer_in_that_precision_rounds_them(stored):
    torch = pytest.importorskip("torch")
    dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[stored]
    weight = torch.randn(50, 40, generator=torch.Generator().manual_seed(0)).to(dtype)
    raw = (weight.view(torch.uint16) if stored == "BF16" else weight).numpy()
    factor = float(torch.tensor(22**0.5).to(dtype))
    vocabulary = vocabulary_of(raw, stored, factor=factor)
    np.testing.assert_array_equal(vocabulary.rows(slice(None)), (weight * factor).float().numpy())


@pytest.mark.parametrize("metric", ["l2", "cosine", "dot"])
def test_a_large_scaled_table_is_searched_as_a_small_one(metric, monkeypatch):
    rng = np.random.default_rng(0)
    table = rng.standard_normal((300, 8), dtype=np.float32)
    queries = rng.standard_normal((5, 8), dtype=np.float32)
    small = nearest_tokens(queries, vocabulary_of(table, "F32", factor=1.7), metric)
    monkeypatch.setattr("probe.vocabulary._WIDENED_BYTES", 0)
    large = vocabulary_of(table, "F32", factor=1.7)
    assert isinstance(large.search_table, MadeRows)
    found = nearest_tokens(queries, large, metric)
    np.testing.assert_array_equal(found.ids, small.ids)
    np.testing.assert_array_equal(found.scores, small.scores)
    allowed = np.arange(300) % 3 > 0
    for kept in (allowed, np.ones(300, dtype=bool)):
        arrays = [
            sample_reference(rows, metric, allowed=kept, rng=np.random.default_rng(1)).to_arrays()
            for rows in (large.search_table, large.rows(slice(None)))
        ]
        for name, values in arrays[0].items():
            np.testing.assert_array_equal(values, arrays[1][name])


def test_parts_must_describe_the_same_rows():
    with pytest.raises(ValueError, match="BF16 table must be a .* array of uint16, found float32"):
        vocabulary_of(np.ones((2, 2), np.float32), "BF16")
    none = np.zeros(2, dtype=bool)
    with pytest.raises(ValueError, match="the table has 3 rows, but"):
        Vocabulary("toy", ("a",) * 3, np.ones((3, 2)), "F64", TokenMasks(*[none] * 5))


def test_without_a_tokenizer_there_is_no_text():
    with pytest.raises(ValueError, match="toy has no tokenizer file"):
        vocabulary_of(np.ones((1, 1)), "F64").encode("hello")


def test_other_dtypes_upcast_by_value():
    assert to_float32(np.array([1.5], np.float64)).dtype == np.float32
