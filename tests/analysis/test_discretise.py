import numpy as np
import pytest

from probe.errors import NotDecodableError
from probe.evaluation.conditions import discretise, random_tokens, shuffled
from probe.prompt import SoftPrompt


@pytest.fixture
def vocabulary(rng, make_vocabulary):
    return make_vocabulary(rng.standard_normal((50, 6)).astype(np.float32), special=[0, 1])


def test_every_row_becomes_its_nearest_token(vocabulary, rng):
    near = vocabulary.rows([4, 9, 4]) + 1e-3 * rng.standard_normal((3, 6))
    found = discretise(SoftPrompt("p", near), vocabulary, metric="l2")
    np.testing.assert_array_equal(found.embeddings, vocabulary.rows([4, 9, 4]))
    assert found.config["token_ids"] == [4, 9, 4]


def test_shuffling_keeps_the_tokens_and_changes_their_order(vocabulary, rng):
    prompt = SoftPrompt("p", vocabulary.rows(range(10, 30)))
    found = shuffled(discretise(prompt, vocabulary), vocabulary, rng=rng)
    assert sorted(found.config["token_ids"]) == list(range(10, 30))
    assert found.config["token_ids"] != list(range(10, 30))


def test_random_tokens_are_reachable_ones(vocabulary, rng):
    found = random_tokens(SoftPrompt("p", np.ones((500, 6))), vocabulary, rng=rng)
    assert set(found.config["token_ids"]) == set(range(2, 50))


def test_another_width_is_refused(vocabulary):
    with pytest.raises(NotDecodableError, match="width 3"):
        discretise(SoftPrompt("p", np.ones((2, 3))), vocabulary)
