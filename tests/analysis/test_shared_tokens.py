"""Tokens that two decodings share."""

import numpy as np
import pytest

from probe.analysis.compare import compare_tokens, shared_tokens
from probe.analysis.compare.pairs import token_strings
from probe.analysis.decoding import Controls, decode
from probe.prompt import SoftPrompt


@pytest.fixture
def decoded(make_vocabulary):
    words = ["␣red", "red", "␣blue", "␣", "green"]
    vocabulary = make_vocabulary(np.eye(5, dtype=np.float32), words=words)

    def made(name, ids, **options):
        rows = np.eye(5, dtype=np.float32)[ids]
        return decode(
            SoftPrompt(name, rows), vocabulary, k=1, controls=Controls(computed=False), **options
        )

    return made


def test_shared_strings_know_their_positions_and_a_leading_space_does_not_part_them(decoded):
    found = shared_tokens(decoded("a", [0, 2, 0, 3]), decoded("b", [1, 4, 3]))
    assert [(one.token, one.first, one.second) for one in found.shared] == [
        ("red", (0, 2), (0,)),
        ("␣", (3,), (2,)),
    ]
    assert found.union == 4
    assert found.jaccard == 0.5
    assert list(found.to_frame()["positions 1"]) == ["0, 2", "3"]


def test_the_jaccard_is_that_of_the_comparison(rng, make_vocabulary):
    vocabulary = make_vocabulary(rng.standard_normal((40, 6)).astype(np.float32))
    prompts = [SoftPrompt(name, rng.standard_normal((5, 6))) for name in "ab"]
    decodings = [decode(p, vocabulary, k=4, controls=Controls(computed=False)) for p in prompts]
    sets = [
        token_strings(np.array([[n.id for n in p.neighbours] for p in d.positions]), vocabulary)
        for d in decodings
    ]
    expected = compare_tokens(sets, names="ab").matrix[0, 1]
    assert shared_tokens(*decodings).jaccard == pytest.approx(expected)


def test_decodings_made_otherwise_are_refused(decoded):
    with pytest.raises(ValueError, match="made alike"):
        shared_tokens(decoded("a", [0]), decoded("b", [0], metric="l2"))
