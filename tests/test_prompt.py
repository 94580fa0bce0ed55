import pickle

import numpy as np
import pytest

from probe.prompt import KVPrefix, PromptPair, SoftPrompt, default_name


def test_rows_are_copied_and_read_only():
    rows = np.ones((2, 3))
    prompt = SoftPrompt("p", rows)
    rows[0, 0] = 7
    assert prompt.embeddings[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        prompt.embeddings[0, 0] = 2
    assert prompt.embeddings.dtype == np.float32
    assert (len(prompt), prompt.width) == (2, 3)


def test_norms_are_euclidean():
    assert SoftPrompt("p", [[3, 4], [0, 2]]).norms.tolist() == [5, 2]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones(3), r"non-empty \[P, H\] array, found \(3,\)"),
        (np.ones((0, 3)), r"non-empty \[P, H\] array, found \(0, 3\)"),
        ([[1, np.nan]], "must be finite, found 1 NaN"),
        ([[1e300, 1]], "must be finite, found 1 NaN or infinite"),
    ],
)
def test_rows_must_be_a_finite_matrix(rows, message):
    with pytest.raises(ValueError, match=message):
        SoftPrompt("p", rows)


def test_choices_are_checked():
    with pytest.raises(ValueError, match="method must be one of .*, found 'magic'"):
        SoftPrompt("p", [[1]], method="magic")
    with pytest.raises(ValueError, match="submodule must be one of encoder, decoder"):
        SoftPrompt("p", [[1]], submodule="middle")


def test_start_tokens_match_the_rows():
    assert SoftPrompt("p", [[1], [2]], init_token_ids=[4, 5]).init_token_ids == (4, 5)
    with pytest.raises(ValueError, match="one id ≥ 0 for each of 2 rows, found 1 ids"):
        SoftPrompt("p", [[1], [2]], init_token_ids=[4])


def test_prefix_keys_and_values_share_a_shape():
    prefix = KVPrefix("kv", np.full((2, 3, 4, 5), 2.0), np.zeros((2, 3, 4, 5)))
    assert len(prefix) == 4
    np.testing.assert_allclose(prefix.norms, np.sqrt(2 * 3 * 5 * 4))
    with pytest.raises(ValueError, match="must have one shape"):
        KVPrefix("kv", np.ones((1, 1, 2, 3)), np.ones((1, 1, 3, 3)))


def test_a_pair_is_an_encoder_and_a_decoder():
    encoder = SoftPrompt("e", [[1]], submodule="encoder")
    decoder = SoftPrompt("d", [[1]], submodule="decoder")
    assert PromptPair(encoder, decoder).encoder is encoder
    with pytest.raises(ValueError, match="needs submodules"):
        PromptPair(decoder, encoder)
    with pytest.raises(ValueError, match="one width, found 1 and 2"):
        PromptPair(encoder, SoftPrompt("d", [[1, 2]], submodule="decoder"))


def test_prompts_travel_between_processes():
    prompt = SoftPrompt("p", [[1, 2]], config={"a": 1})
    back = pickle.loads(pickle.dumps(prompt))
    np.testing.assert_array_equal(back.embeddings, prompt.embeddings)
    assert back.config == {"a": 1}


def test_names_come_from_the_file(tmp_path):
    assert default_name("runs/sst2.pt") == "sst2"
    assert default_name(tmp_path) == tmp_path.name
