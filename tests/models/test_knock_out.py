"""Layers that do not see the prompt, against transformers' own attention with another mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from probe.models import InjectionError, prepare, scorer
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.models.knock_out import KnockOut
from probe.models.masked import MaskedModel
from probe.models.sentence_encoder import SentenceEncoder
from probe.prompt import KVPrefix, SoftPrompt
from probe.task import Example, Task
from tests.models.conftest import PACKING, raw_encoder, raw_model, raw_t5, word_tokenizer

EXAMPLES = [Example("a good film", 0), Example("bad", 1), Example("the book was very dull", 1)]
TASK = Task("moods", "classification", "{text} it was", ("good", "bad"))
INSIDE = Task("moods", "classification", "{prompt:1}{text} it{prompt:2} was", ("good", "bad"))
ROWS = np.random.default_rng(0).normal(size=(3, 32)).astype(np.float32) * 0.3
LEARNT_PLACES = ("gpt2", "opt", "opt-projected")


def soft(model, rows=ROWS):
    return SoftPrompt("p", rows[:, : model.width])


def scores(knocked, layers, prompt, task=TASK):
    with knocked.without(layers) as model:
        return scorer(model, task)(prompt, EXAMPLES)


def test_without_a_cut_the_copy_scores_as_the_packed_model(causal):
    model = causal("llama")
    whole = scorer(model, TASK)(soft(model), EXAMPLES)
    np.testing.assert_allclose(scores(KnockOut(model), (), soft(model)), whole, atol=2e-5)


@pytest.mark.parametrize("name", [*PACKING, "phi"])
def test_cut_everywhere_the_rows_do_not_matter_and_relative_places_leave_no_prompt(causal, name):
    model = causal(name)
    knocked, every = KnockOut(model), range(3)
    knocked.require_cuts(model.injection_of([soft(model)]), prepare(model, TASK, EXAMPLES))
    blind = scores(knocked, every, soft(model))
    np.testing.assert_allclose(scores(knocked, every, soft(model, 5 * ROWS)), blind, atol=1e-5)
    alone = scorer(model, TASK)(None, EXAMPLES)
    if name in LEARNT_PLACES:  # the text still stands three places later
        assert np.abs(blind - alone).max() > 1e-2
    else:
        np.testing.assert_allclose(blind, alone, atol=2e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("layers", [(1,), (0, 2)])
def test_a_cut_is_a_mask_in_these_layers_of_transformers_own_attention(causal, name, layers):
    model = causal(name)
    found = scores(KnockOut(model), layers, soft(model))[0]
    raw = raw_model(name)
    raw.set_attn_implementation("eager")
    ids = torch.tensor([model.tokenizer("a good film it was")["input_ids"]])
    rows = torch.from_numpy(soft(model).embeddings.copy())[None]
    body = raw.transformer.h if name == "gpt2" else raw.model.layers

    def cut(_, inputs, named):
        mask = named["attention_mask"].clone()
        mask[:, :, 3:, :3] = torch.finfo(mask.dtype).min
        return inputs, named | {"attention_mask": mask}

    for layer in layers:
        attention = body[layer].attn if name == "gpt2" else body[layer].self_attn
        attention.register_forward_pre_hook(cut, with_kwargs=True)
    with torch.no_grad():
        logits = raw(inputs_embeds=torch.cat([rows, model.embed_ids(ids)], 1)).logits[0, -1]
    words = [model.tokenizer(word)["input_ids"][0] for word in TASK.label_words]
    np.testing.assert_allclose(found, logits.log_softmax(-1)[words], atol=2e-5)


def test_rows_inside_the_text_are_hidden_from_what_stands_behind_them(causal):
    model = causal("llama")
    knocked = KnockOut(model)
    blind = scores(knocked, range(3), soft(model), INSIDE)
    other = scores(knocked, range(3), soft(model, -2 * ROWS), INSIDE)
    np.testing.assert_allclose(other, blind, atol=1e-5)
    assert np.abs(scores(knocked, (0,), soft(model), INSIDE) - blind).max() > 1e-3


def test_the_columns_of_a_prefix_are_hidden_too(causal):
    model = causal("llama")
    rng = np.random.default_rng(1)
    prefix = KVPrefix("k", *rng.normal(size=(2, 3, 2, 4, 8)))
    knocked = KnockOut(model)
    knocked.require_cuts(model.injection_of([prefix]), prepare(model, TASK, EXAMPLES))
    alone = scorer(model, TASK)(None, EXAMPLES)
    np.testing.assert_allclose(scores(knocked, range(3), prefix), alone, atol=2e-5)
    only_last = KVPrefix("k", np.where(np.arange(3)[:, None, None, None] == 2, prefix.keys, 9),
                         prefix.values)  # fmt: skip
    np.testing.assert_allclose(
        scores(knocked, (0, 1), only_last), scores(knocked, (0, 1), prefix), atol=2e-5
    )


@pytest.mark.parametrize("kind", [MaskedModel, SentenceEncoder])
def test_encoders_are_cut_from_text_to_rows_and_not_from_rows_to_text(kind):
    raw = raw_encoder("bert", head=kind is MaskedModel)
    model = kind("bert", raw, word_tokenizer("<bos>", "<eos>"))
    knocked = KnockOut(model)
    knocked.require_cuts(model.injection_of([soft(model)]), prepare(model, TASK, EXAMPLES))
    blind = scores(knocked, range(3), soft(model))
    np.testing.assert_allclose(scores(knocked, range(3), soft(model, -ROWS)), blind, atol=1e-5)
    assert np.abs(scores(knocked, (0, 1), soft(model)) - blind).max() > 1e-3


def test_attention_in_code_of_its_own_is_refused_and_so_are_two_stacks(causal):
    for name in ("bloom", "gemma2"):
        model = causal(name)
        with pytest.raises(InjectionError, match="attention in code of its own, in which no layer"):
            KnockOut(model).require_cuts(
                model.injection_of([soft(model)]), prepare(model, TASK, EXAMPLES)
            )
    with pytest.raises(InjectionError, match="knock-out needs one stack of layers"):
        KnockOut(EncoderDecoderModel("t5", raw_t5(), word_tokenizer()))
