"""Attention to a prompt, against transformers' own weights."""

import numpy as np
import pytest
import torch

from probe.analysis.attention import attention_mass
from probe.models import tracer
from probe.models.causal import CausalModel
from probe.prompt import SoftPrompt
from probe.protocols import TraceResult
from probe.task import Example
from tests.models.conftest import raw_model, word_tokenizer


def test_it_is_the_mean_over_examples_however_they_are_batched():
    calls = []

    def trace(prompt, examples):
        calls.append(len(examples))
        given = np.array([len(one.text) for one in examples], dtype=np.float32)
        mass = np.broadcast_to(given[None, :, None] / 100, (2, len(examples), 3))
        empty = np.zeros((0, 0, 0), np.float32)
        return TraceResult(empty, mass, empty, np.full_like(mass, 0.25))

    examples = [Example("x" * n) for n in range(1, 41)]
    found = attention_mass(SoftPrompt("p", np.ones((3, 2))), trace, examples)
    assert found.n == 40 and len(calls) > 1 and sum(calls) == 40
    np.testing.assert_allclose(found.mass, 0.205, rtol=1e-6)
    np.testing.assert_allclose(found.uniform, 0.25)
    np.testing.assert_allclose(found.whole, 3 * 0.205, rtol=1e-6)
    assert len(found.to_frame()) == 6


def test_masses_are_those_of_transformers_and_never_more_than_one():
    model = CausalModel("llama", raw_model("llama"), word_tokenizer())
    rows = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    examples = [Example("a good film"), Example("it was very dull")]
    found = attention_mass(SoftPrompt("p", rows), tracer(model), examples)
    raw = raw_model("llama")
    raw.set_attn_implementation("eager")
    expected = np.zeros((3, 4))
    for one in examples:
        ids = torch.tensor([model.tokenizer(one.text)["input_ids"]])
        given = torch.cat([torch.from_numpy(rows)[None], model.embed_ids(ids)], 1)
        with torch.no_grad():
            weights = raw(inputs_embeds=given, output_attentions=True).attentions
        expected += [layer[0].mean(0)[4:, :4].mean(0).numpy() / 2 for layer in weights]
    np.testing.assert_allclose(found.mass, expected, atol=1e-6)
    assert (found.whole <= 1).all() and (found.uniform.sum(axis=1) <= 1).all()


def test_examples_are_needed():
    with pytest.raises(ValueError, match="one example or more"):
        attention_mass(SoftPrompt("p", np.ones((1, 2))), None, [])
