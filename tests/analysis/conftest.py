"""A small vocabulary whose geometry is known."""

import numpy as np
import pytest

from probe.vocabulary import TokenMasks, Vocabulary


class WordCodec:
    """Tokens are words joined by blanks."""

    def __init__(self, words):
        self.words = words

    def encode(self, text):
        return [self.words.index(word) for word in text.split()]

    def decode(self, ids):
        return " ".join(self.words[i] for i in ids)


def _make_vocabulary(table, *, words=None, special=()):
    words = words or [f"word{i}" for i in range(len(table))]
    none = np.zeros(len(table), dtype=bool)
    is_special = none.copy()
    is_special[list(special)] = True
    starts = np.array([not word.startswith("##") for word in words])
    masks = TokenMasks(is_special, none, none, none, starts)
    dtype = {"float64": "F64", "float32": "F32", "float16": "F16", "uint16": "BF16"}
    return Vocabulary("toy", tuple(words), table, dtype[table.dtype.name], masks, WordCodec(words))


@pytest.fixture
def rng():
    return np.random.default_rng(20261121)


@pytest.fixture(scope="session")
def make_vocabulary():
    return _make_vocabulary
