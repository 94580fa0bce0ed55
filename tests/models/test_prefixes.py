"""Key/value prefixes: packed, plain, and through PEFT's own prefix tuning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import PrefixTuningConfig, get_peft_model
from transformers import DynamicCache

from probe.models import Injection, InjectionError, Row, Slot
from probe.models.causal import CausalModel
from probe.prompt import KVPrefix, SoftPrompt
from tests.models.conftest import PACKING, PLAIN, SIZES, raw_model, word_tokenizer
from tests.models.exactness import LENGTHS, prefixes, relative, rows, run

Maker = Callable[..., CausalModel]


@pytest.mark.parametrize("length", [3, 9])
@pytest.mark.parametrize("name", PACKING)
def test_prefixes_of_different_lengths_are_the_same_packed_and_plain(
    causal: Maker, name: str, length: int
) -> None:
    """Also where a prefix is longer than the sliding window."""
    packed, plain = causal(name), causal(name, plain=True)
    batch, which = rows(*LENGTHS, label_length=2), [0, 1, 2, 0]
    key_values = prefixes(packed, 3, length)
    leaves = [tensor for layer in key_values for tensor in layer]
    injection = Injection(None, [length, length - 2, 0], key_values)
    found = run(packed, injection, batch, leaves, which)
    expected = run(plain, injection, batch, leaves, which)
    torch.testing.assert_close(found[0], expected[0], atol=2e-6, rtol=2e-6)
    for ours, theirs in zip(found[1], expected[1], strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6), "windows may hide a whole layer"
    assert max(gradient.norm() for gradient in expected[1]) > 1e-3


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("length", [3, 9])
@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_a_prefix_gives_the_logits_of_peft(causal: Maker, name: str, length: int) -> None:
    model = causal(name)
    assert model.kv_shape is not None
    layers, heads, width = model.kv_shape
    config = PrefixTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=length,
        num_layers=layers,
        num_attention_heads=heads,
        token_dim=heads * width,
    )
    theirs = get_peft_model(raw_model(name), config).eval()
    torch.manual_seed(0)
    weight = torch.randn(length, 2 * layers * heads * width)
    theirs.prompt_encoder["default"].embedding.weight.data.copy_(weight)
    flat = weight.view(length, 2 * layers, heads, width).permute(1, 2, 0, 3)
    key_values = [(flat[2 * i][None], flat[2 * i + 1][None]) for i in range(layers)]
    row = rows(7)[0]
    every = Row(row.prefix_ids, tuple((token,) for token in range(64)), 0)
    found = model.label_scores(Injection(None, [length], key_values), [every])[0]
    ids = torch.tensor([row.prefix_ids])
    expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]
    torch.testing.assert_close(found, expected.log_softmax(-1), atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_a_prefix_cut_from_a_text_equals_the_text(causal: Maker, name: str) -> None:
    model = causal(name)
    ids = [20, 21, 22]
    cache = DynamicCache(config=model.model.config)
    with torch.no_grad():
        model.model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True)
    key_values = [(keys, values) for keys, values, _ in cache]
    assert {tuple(keys.shape) for keys, _ in key_values} == {
        (1, *model.kv_shape[1:2], 3, model.kv_shape[2])
    }
    batch = rows(*LENGTHS, label_length=2)
    longer = [Row((*ids, *row.prefix_ids), row.options, row.label) for row in batch]
    found = model.losses(Injection(None, [3], key_values), batch)
    torch.testing.assert_close(found, model.losses(None, longer), atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_a_pass_leaves_the_prefix_as_it_was(causal: Maker, name: str) -> None:
    """Caches grow with every forward pass; a prefix must not."""
    model = causal(name)
    batch = rows(*LENGTHS)
    key_values = prefixes(model, 1, 4)
    injection = Injection(None, [4], key_values)
    before = [keys.detach().clone() for keys, _ in key_values]
    first = model.losses(injection, batch)
    assert torch.equal(first, model.losses(injection, batch))
    assert all(torch.equal(a, b) for a, (b, _) in zip(before, key_values, strict=True))


def test_prefixes_read_from_files_are_injected(causal: Maker) -> None:
    model = causal("llama")
    rng = np.random.default_rng(0)
    shapes = [(3, 2, length, 8) for length in (4, 2)]
    made = [
        KVPrefix(f"p{shape[2]}", rng.normal(size=shape), rng.normal(size=shape)) for shape in shapes
    ]
    injection = model.injection_of([made[0], None, made[1]])
    assert list(injection.lengths) == [4, 0, 2]
    batch = rows(5, 5, 5)
    together = model.losses(injection, batch, torch.tensor([2, 1, 0]))
    alone = [
        model.losses(model.injection_of([prompt]), [row])
        for prompt, row in zip([made[1], None, made[0]], batch, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-6, rtol=2e-6)


def test_prefixes_that_do_not_fit_are_refused(causal: Maker) -> None:
    model = causal("llama")
    wide = KVPrefix("wide", np.ones((3, 2, 4, 9)), np.ones((3, 2, 4, 9)))
    with pytest.raises(InjectionError, match=r"\(3, 2, 8\), found \(3, 2, 9\)"):
        model.injection_of([wide])
    good = KVPrefix("good", np.ones((3, 2, 4, 8)), np.ones((3, 2, 4, 8)))
    with pytest.raises(InjectionError, match="either embeddings or key/value prefixes"):
        model.injection_of([good, SoftPrompt("soft", np.ones((2, 32)))])
    slotted = rows(5, slots=(Slot(2, 4),))
    with pytest.raises(InjectionError, match=r"remove the \{prompt:n\} slots"):
        model.losses(model.injection_of([good]), slotted)


def test_multi_query_models_show_their_own_head_count() -> None:
    """PEFT takes the count from the configuration, where multi-query attention has another."""
    from transformers import FalconConfig, FalconForCausalLM

    torch.manual_seed(0)
    config = FalconConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        multi_query=True,
        new_decoder_architecture=False,
        alibi=False,
    )
    from tests.models.conftest import word_tokenizer

    model = CausalModel("falcon", FalconForCausalLM(config), word_tokenizer())
    assert model.kv_shape == (2, 1, 8)
    key_values = prefixes(model, 1, 3)
    losses = model.losses(Injection(None, [3], key_values), rows(4, 6))
    gradient = torch.autograd.grad(losses.sum(), key_values[0][1])[0]
    assert relative(gradient + 1, torch.ones_like(gradient)) > 0


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("MambaForCausalLM", {}),  # its layers keep no keys and values
        ("RobertaForCausalLM", {"is_decoder": True}),  # its positions begin behind its padding's id
    ],
)
def test_a_model_on_which_a_prefix_of_tokens_does_not_act_as_these_reads_none(
    kind: str, sizes: dict[str, Any]
) -> None:
    config = getattr(transformers, kind.replace("ForCausalLM", "Config"))(**SIZES, **sizes)
    torch.manual_seed(0)
    raw = getattr(transformers, kind)(config)
    for weight in raw.parameters():
        weight.data.add_(0.25 * torch.randn_like(weight))
    model = CausalModel(kind, raw, word_tokenizer())
    assert model.kv_shape is None
    layers = [(torch.randn(1, 4, 2, 8), torch.randn(1, 4, 2, 8)) for _ in range(3)]
    with pytest.raises(InjectionError, match="reads no key/value prefixes"):
        model.batch_of(Injection(None, [2], layers), [], None)
