"""Traces and logits of hidden states, against transformers' own outputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from probe.models import InjectionError, tracer, unembedder
from probe.models.causal import CausalModel
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.models.masked import MaskedModel
from probe.prompt import KVPrefix, SoftPrompt
from probe.protocols import TraceResult
from probe.task import Example, Task
from tests.models.conftest import PACKING, PLAIN, raw_encoder, raw_model, raw_t5, word_tokenizer
from tests.models.exactness import generate

Maker = Callable[..., CausalModel]
EXAMPLES = [Example("a good film"), Example("bad"), Example("")]
PROMPT = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32) * 0.3


def soft(model: CausalModel) -> SoftPrompt:
    return SoftPrompt("p", PROMPT[:, : model.width])


@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_a_trace_holds_the_states_and_attention_of_the_model(causal: Maker, name: str) -> None:
    model = causal(name)
    found = tracer(model)(soft(model), EXAMPLES)
    raw = raw_model(name)
    raw.set_attn_implementation("eager")
    ids = torch.tensor([model.tokenizer(EXAMPLES[0].text)["input_ids"]])
    prompt = torch.from_numpy(soft(model).embeddings.copy())
    embeddings = torch.cat([prompt[None], model.embed_ids(ids)], 1)
    with torch.no_grad():
        expected = raw(inputs_embeds=embeddings, output_hidden_states=True, output_attentions=True)
    assert found.hidden.shape[:3] == (4, 3, 7)
    for layer in range(3):  # behind the last layer transformers adds the final norm
        states = expected.hidden_states[layer][0]
        np.testing.assert_allclose(found.hidden[layer, 0], states, atol=2e-5)
    for layer, weights in enumerate(expected.attentions):
        mean = weights[0].mean(0)[4:, :4].mean(0)
        np.testing.assert_allclose(found.attention_to_prompt[layer, 0], mean, atol=1e-6)
    assert not found.hidden[:, 1, 5:].any(), "zeros behind shorter texts"


@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_unembedding_the_last_states_gives_the_model_s_logits(causal: Maker, name: str) -> None:
    model = causal(name)
    found = tracer(model)(None, EXAMPLES[:1])
    ids = torch.tensor([model.tokenizer(EXAMPLES[0].text)["input_ids"]])
    with torch.no_grad():
        expected = raw_model(name)(input_ids=ids).logits[0]
    logits = unembedder(model)(found.hidden[-1, 0])
    np.testing.assert_allclose(logits, expected, atol=2e-5)


def test_activations_are_those_behind_the_prompt(causal: Maker) -> None:
    model = causal("llama")
    found = tracer(model)(soft(model), EXAMPLES)
    assert found.activations.shape == (3, 3, 48)
    raw, kept = raw_model("llama"), []
    raw.model.layers[1].mlp.act_fn.register_forward_hook(lambda *seen: kept.append(seen[2]))
    ids = torch.tensor([model.tokenizer(EXAMPLES[0].text)["input_ids"]])
    with torch.no_grad():
        raw(inputs_embeds=torch.cat([torch.from_numpy(PROMPT)[None], model.embed_ids(ids)], 1))
    np.testing.assert_allclose(found.activations[1, 0], kept[0][0, 4], atol=1e-5)


def test_empty_texts_are_traced_at_the_token_that_begins_texts(causal: Maker) -> None:
    model = causal("llama")
    empty = tracer(model)(soft(model), [Example("")])
    spelled = tracer(model)(soft(model), [Example("<bos>")])
    np.testing.assert_array_equal(empty.activations, spelled.activations)


def test_the_prompt_comes_first_wherever_it_stood() -> None:
    tokenizer = word_tokenizer("<bos>", "<eos>")
    model = MaskedModel("bert", raw_encoder("bert", head=True), tokenizer)
    task = Task("t", "classification", "{text} is {label} .", ("good", "bad"))
    found = tracer(model, task)(SoftPrompt("p", PROMPT), EXAMPLES)
    raw = raw_encoder("bert", head=True)
    ids = [2, *tokenizer("a good film is <mask> .", add_special_tokens=False)["input_ids"], 3]
    rows = model.embed_ids(torch.tensor(ids))
    rows = torch.cat([rows[:1], torch.from_numpy(PROMPT), rows[1:]])[None]
    with torch.no_grad():
        states = raw(inputs_embeds=rows, output_hidden_states=True).hidden_states[-1][0]
    order = [1, 2, 3, 4, 0, *range(5, 12)]
    np.testing.assert_allclose(found.hidden[-1, 0], states[order], atol=2e-5)
    logits = unembedder(model)(found.hidden[-1, 0])
    with torch.no_grad():
        np.testing.assert_allclose(logits, raw(inputs_embeds=rows).logits[0, order], atol=2e-5)


def test_a_prefix_is_traced_by_the_attention_it_gets(causal: Maker) -> None:
    model = causal("mistral-window")
    rng = np.random.default_rng(0)
    prefix = KVPrefix("k", rng.normal(size=(3, 2, 3, 8)), rng.normal(size=(3, 2, 3, 8)))
    found = tracer(model)(prefix, EXAMPLES[:2])
    assert found.hidden.shape[:3] == (4, 2, 3)
    assert found.attention_to_prompt.shape == (3, 2, 3)
    assert (found.attention_to_prompt.sum(-1) > 0).all()
    assert (found.attention_to_prompt.sum(-1) < 1).all()


def test_the_encoder_of_two_stacks_is_traced() -> None:
    model = EncoderDecoderModel("t5", raw_t5(), word_tokenizer("", "<eos>"))
    found = tracer(model)(SoftPrompt("p", PROMPT), EXAMPLES)
    assert found.hidden.shape == (3, 3, 8, 32)
    assert found.attention_to_prompt.shape == (2, 3, 4)
    with pytest.raises(InjectionError, match="has no unembedding"):
        unembedder(model)


def test_tracing_leaves_the_model_as_it_was(causal: Maker) -> None:
    model = causal("gpt2")
    before, text = model.fingerprint, generate(model, None, ["a film"])
    trace, unembed = tracer(model), unembedder(model)
    result: TraceResult = trace(soft(model), EXAMPLES)
    unembed(result.hidden[-1, 0])
    assert model.model.config._attn_implementation == "probe_packed"
    assert model.layers == 3 and len(model.model.transformer.h) == 3
    assert (model.fingerprint, generate(model, None, ["a film"])) == (before, text)


@pytest.mark.parametrize(("name", "window"), [("llama", 64), ("mistral-window", 5)])
def test_uniform_attention_counts_the_positions_each_text_position_sees(
    causal: Maker, name: str, window: int
) -> None:
    model = causal(name)
    found = tracer(model)(soft(model), EXAMPLES[:2])
    for row, length in enumerate((3, 1)):  # words behind four prompt rows
        expected = np.zeros(4)
        for place in range(4, 4 + length):
            seen = range(max(0, place - window + 1), place + 1)
            expected[[j for j in seen if j < 4]] += 1 / len(seen) / length
        for layer in range(3):
            np.testing.assert_allclose(found.uniform_attention[layer, row], expected, atol=1e-6)
