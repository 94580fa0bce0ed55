"""The logit lens and the value lens, against the model's own logits and plain products."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from probe.analysis.lens import logit_lens, random_prompts, read_states, same_norms
from probe.analysis.value_lens import value_lens
from probe.errors import NotDecodableError
from probe.models import tracer, unembedder, value_projector
from probe.models.causal import CausalModel
from probe.prompt import KVPrefix, SoftPrompt
from probe.protocols import TraceResult
from tests.models.conftest import raw_model, word_tokenizer

TOKENS = [f"t{i}" for i in range(64)]


def model_of(name):
    return CausalModel(name, raw_model(name), word_tokenizer())


@pytest.fixture
def rows(rng):
    return rng.normal(size=(4, 32)).astype(np.float32)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_last_layer_reads_as_the_model_itself_predicts(name, rows):
    model = model_of(name)
    found = logit_lens(SoftPrompt("p", rows), tracer(model), unembedder(model), TOKENS, k=3)
    with torch.no_grad():
        logits = raw_model(name)(inputs_embeds=torch.from_numpy(rows)[None]).logits[0].numpy()
    expected = softmax(logits.astype(float), axis=1)
    last = [cell for cell in found.cells if cell.layer == 3]
    assert [cell.position for cell in last] == [0, 1, 2, 3]
    for cell, row in zip(last, expected, strict=True):
        best = np.argsort(-row)[:3]
        assert [token.id for token in cell.tokens] == best.tolist()
        assert [token.token for token in cell.tokens] == [TOKENS[i] for i in best]
        np.testing.assert_allclose([t.probability for t in cell.tokens], row[best], rtol=1e-3)


def stub(prompt, examples):
    """Two layers; the second doubles the rows."""
    text = np.zeros((1, prompt.width), np.float32)
    states = np.concatenate([prompt.embeddings, text])[None]
    nothing = np.zeros((0, 0, 0), np.float32)
    return TraceResult(np.stack([states, 2 * states]), nothing, nothing, nothing)


def test_with_rows_as_logits_the_lens_is_a_softmax_of_the_rows():
    eye = SoftPrompt("p", np.eye(3, dtype=np.float32))
    found = logit_lens(eye, stub, lambda states: states, ["a", "b", "c"], k=2, draws=4)
    assert [cell.tokens[0].token for cell in found.cells] == ["a", "b", "c"] * 2
    for layer, factor in enumerate((1, 2)):
        expected = np.exp(factor) / (np.exp(factor) + 2)
        assert found.layers[layer].top_probability == pytest.approx(expected)
        assert found.cells[3 * layer].tokens[0].probability == pytest.approx(expected)
    assert len(found.to_frame()) == 12


def test_a_lens_that_ignores_the_prompt_overlaps_wholly_with_random_rows():
    def always(states):
        return np.tile(np.arange(5.0, dtype=np.float32), (len(states), 1))

    found = logit_lens(SoftPrompt("p", np.eye(5)), stub, always, list("abcde"), k=2)
    for layer in found.layers:
        assert layer.overlap == 1
        assert layer.top_probability == pytest.approx(layer.random_top_probability)


def test_rows_of_a_padded_head_are_no_tokens():
    ids, _ = read_states(np.array([[1, 2, 9]], np.float32), lambda states: states, 2, 2)
    assert ids.tolist() == [[1, 0]]


def test_random_rows_keep_the_norms_and_nothing_else(rng):
    prompt = SoftPrompt("p", rng.normal(size=(4, 64)) * [[1], [2], [3], [40]])
    (drawn,) = random_prompts(prompt, 1, rng)
    np.testing.assert_allclose(drawn.norms, prompt.norms, rtol=1e-5)
    cosines = (drawn.embeddings * prompt.embeddings).sum(1) / prompt.norms**2
    assert (np.abs(cosines) < 0.6).all()
    values = rng.normal(size=(2, 3, 4, 8)).astype(np.float32)
    np.testing.assert_allclose(
        np.linalg.norm(same_norms(values, rng), axis=-1), np.linalg.norm(values, axis=-1), rtol=1e-5
    )


def test_a_prefix_and_impossible_sizes_are_refused(rng):
    prefix = KVPrefix("k", *rng.normal(size=(2, 1, 1, 1, 1)))
    with pytest.raises(NotDecodableError, match="read its values instead"):
        logit_lens(prefix, stub, lambda states: states, ["a"])
    prompt = SoftPrompt("p", np.eye(2))
    for k, draws in ((0, 1), (3, 1), (1, 0)):
        with pytest.raises(ValueError, match="must be"):
            logit_lens(prompt, stub, lambda states: states, ["a", "b"], k=k, draws=draws)


def test_each_value_is_read_through_its_own_head(rng):
    """Grouped queries: heads 0 and 1 read value head 0, heads 2 and 3 value head 1."""
    model, raw = model_of("llama"), raw_model("llama")
    prefix = KVPrefix("k", *rng.normal(size=(2, 3, 2, 5, 8)).astype(np.float32))
    found = value_lens(prefix, value_projector(model), unembedder(model), TOKENS, k=2, draws=2)
    assert len(found.cells) == 3 * 4 * 5
    for cell in found.cells:
        matrix = raw.model.layers[cell.layer].self_attn.o_proj.weight.detach().numpy()
        part = matrix[:, 8 * cell.head : 8 * cell.head + 8]
        added = part @ prefix.values[cell.layer, cell.head // 2, cell.position]
        assert cell.norm == pytest.approx(np.linalg.norm(added), rel=1e-4)
        with torch.no_grad():
            logits = raw.lm_head(raw.model.norm(torch.from_numpy(added)))
        chances = softmax(logits.numpy().astype(float))
        assert cell.tokens[0].id == chances.argmax()
        assert cell.tokens[0].probability == pytest.approx(chances.max(), rel=1e-3)
    assert sum((cell.layer, cell.position) == (1, 4) for cell in found.cells) == 4
    assert len(found.to_frame()) == 120
