"""States put into a pass, against transformers' own pass with a hook on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from probe.models import InjectionError, patcher, tracer
from probe.models.causal import CausalModel
from probe.models.masked import MaskedModel
from probe.prompt import SoftPrompt
from probe.task import Example
from tests.models.conftest import raw_encoder, raw_model, word_tokenizer
from tests.models.exactness import generate

Maker = Callable[..., CausalModel]
BEFORE, AFTER, NEW = "the film", "was it", 5
STATES = np.random.default_rng(1).normal(size=(3, 2, 32)).astype(np.float32)


def greedy_by_hand(name: str, model: CausalModel, states: Any, layer: int) -> list[int]:
    """No cache, one row: the whole text again for every new token."""
    raw = raw_model(name)
    raw.set_attn_implementation("eager")
    placeholder = model.tokenizer(" x", add_special_tokens=False)["input_ids"]
    before, after = (model.tokenizer(text)["input_ids"] for text in (BEFORE, AFTER))
    ids = [*before, *placeholder[-1:] * len(states), *after]
    layers = raw.transformer.h if hasattr(raw, "transformer") else raw.model.layers

    def put(_: Any, inputs: Any, named: Any) -> Any:
        hidden = (inputs[0] if inputs else named["hidden_states"]).clone()
        hidden[0, len(before) : len(before) + len(states)] = torch.from_numpy(states)
        return (
            ((hidden, *inputs[1:]), named)
            if inputs
            else (inputs, named | {"hidden_states": hidden})
        )

    layers[layer].register_forward_pre_hook(put, with_kwargs=True)
    written: list[int] = []
    with torch.no_grad():
        for _ in range(NEW):
            token = int(raw(input_ids=torch.tensor([[*ids, *written]])).logits[0, -1].argmax())
            if token == model.tokenizer.eos_token_id:
                break
            written.append(token)
    return written


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral-window"])
@pytest.mark.parametrize("layer", [0, 2])
def test_patched_continuations_equal_a_hooked_pass_without_cache(
    causal: Maker, name: str, layer: int
) -> None:
    model = causal(name)
    found = patcher(model, max_new_tokens=NEW)(STATES, layer, BEFORE, AFTER)
    for states, text in zip(STATES, found, strict=True):
        ids = greedy_by_hand(name, model, states, layer)
        assert text == model.tokenizer.decode(ids, skip_special_tokens=True)


def test_patching_what_is_there_already_changes_nothing(causal: Maker) -> None:
    """The states a text has itself, put back into it, continue it as it continues itself."""
    model = causal("llama")
    trace = tracer(model)(None, [Example(f"{BEFORE} x x {AFTER}")])
    for layer in range(model.layers):
        own = trace.hidden[layer, :, 2:4]
        (found,) = patcher(model, max_new_tokens=NEW)(own, layer, BEFORE, AFTER)
        (plain,) = generate(model, None, [f"{BEFORE} x x {AFTER}"], max_new_tokens=NEW)
        assert found == plain


def test_patching_leaves_the_model_as_it_was(causal: Maker) -> None:
    model = causal("gpt2")
    prompt = SoftPrompt("p", STATES[0])
    before = generate(model, model.injection_of([prompt]), ["a film"])
    patcher(model)(STATES, 1, BEFORE, AFTER)
    assert generate(model, model.injection_of([prompt]), ["a film"]) == before


def test_where_it_cannot_be_done_one_line_says_why(causal: Maker) -> None:
    patch = patcher(causal("llama"))
    with pytest.raises(InjectionError, match="can enter layers 0 to 2"):
        patch(STATES, 3, BEFORE, AFTER)
    with pytest.raises(InjectionError, match="has 64 positions"):
        patch(np.zeros((1, 60, 32), np.float32), 0, BEFORE, AFTER)
    masked = MaskedModel("bert", raw_encoder("bert", head=True), word_tokenizer("<bos>", "<eos>"))
    with pytest.raises(InjectionError, match="takes a causal language model"):
        patcher(masked)


def test_a_tokenizer_that_leaves_the_placeholder_out_is_refused() -> None:
    """Nothing would stand where states are put, and the text be continued without them."""
    letters = Tokenizer(models.BPE({letter: row for row, letter in enumerate("ACDEFG")}, []))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters)
    model = CausalModel("llama", raw_model("llama"), tokenizer)
    with pytest.raises(InjectionError, match="has no token for ' x', in whose place"):
        patcher(model)(STATES, 1, "ACE", "CAFE")
