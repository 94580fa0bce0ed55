import numpy as np
import pytest

from probe.vocabulary import TokenMasks, Vocabulary, to_float32


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
