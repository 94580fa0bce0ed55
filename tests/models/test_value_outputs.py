"""A value through its head's slice, against the product by hand and against the model's own sum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from probe.models import InjectionError, value_projector
from probe.models.causal import CausalModel
from probe.models.sentence_encoder import SentenceEncoder
from tests.models.conftest import raw_encoder, raw_model, word_tokenizer

Maker = Callable[..., CausalModel]


@pytest.mark.parametrize(
    ("name", "groups", "width"), [("gpt2", 4, 8), ("llama", 2, 8), ("qwen3", 1, 12)]
)
def test_each_head_has_its_own_slice_and_its_group_s_value(
    causal: Maker, name: str, groups: int, width: int
) -> None:
    values = np.random.default_rng(0).normal(size=(3, groups, 5, width)).astype(np.float32)
    found = value_projector(causal(name))(values)
    assert found.shape == (3, 4, 5, 32)
    raw = raw_model(name)
    for layer in range(3):
        if name == "gpt2":  # stores [in, out]
            matrix = raw.transformer.h[layer].attn.c_proj.weight.detach().numpy()
        else:
            matrix = raw.model.layers[layer].self_attn.o_proj.weight.detach().numpy().T
        for head in range(4):
            part = matrix[head * width : (head + 1) * width]
            expected = values[layer, head * groups // 4] @ part
            np.testing.assert_allclose(found[layer, head], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["opt", "gpt_neox", "bloom", "phi"])
def test_the_parts_of_all_heads_add_up_to_the_whole_output(causal: Maker, name: str) -> None:
    """Every head reading the same position at weight one is the output matrix itself."""
    model = causal(name)
    layers, groups, width = model.kv_shape
    values = np.random.default_rng(0).normal(size=(layers, groups, 2, width)).astype(np.float32)
    found = value_projector(model)(values).sum(axis=1)
    raw = raw_model(name)
    matrix = {
        "opt": lambda: raw.model.decoder.layers[1].self_attn.out_proj,
        "gpt_neox": lambda: raw.gpt_neox.layers[1].attention.dense,
        "bloom": lambda: raw.transformer.h[1].self_attention.dense,
        "phi": lambda: raw.model.layers[1].self_attn.dense,
    }[name]()
    joined = values[1].transpose(1, 0, 2).reshape(2, -1)
    np.testing.assert_allclose(found[1], joined @ matrix.weight.detach().numpy().T, atol=1e-5)


def test_refusals_say_why(causal: Maker) -> None:
    with pytest.raises(InjectionError, match="normalises what attention adds"):
        value_projector(causal("gemma2"))
    with pytest.raises(
        InjectionError, match=r"reads prefixes of .* \(3, 2, 8\), found \(3, 4, 8\)"
    ):
        value_projector(causal("llama"))(np.zeros((3, 4, 1, 8), np.float32))
    encoder = SentenceEncoder("mini", raw_encoder("bert", head=False), word_tokenizer())
    with pytest.raises(InjectionError, match="reads no key/value prefixes"):
        value_projector(encoder)
