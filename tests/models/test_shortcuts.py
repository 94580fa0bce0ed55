"""Shortcuts leave work out: how many rows go through a module, counted at the module itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from transformers import MobileBertConfig, MobileBertForMaskedLM

from probe.models import FrozenModel, Injection, Row, Slot
from probe.models.causal import CausalModel
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.models.masked import MaskedModel
from probe.models.shortcuts import layer_list, logits_at
from tests.models.conftest import raw_bart, raw_encoder, raw_t5, word_tokenizer
from tests.models.exactness import LENGTHS, prompts, rows

Maker = Callable[..., CausalModel]
P = 6
TEXT = sum(LENGTHS)
SCORED = 2 * len(LENGTHS)
"""Positions that carry a loss where every row has a label of two tokens."""


@contextmanager
def rows_through(*modules: nn.Module) -> Iterator[list[list[int]]]:
    """Rows of each module's input, a list of numbers for every pass."""
    counts: list[list[int]] = [[] for _ in modules]

    def watch(number: int, inputs: tuple[Tensor, ...]) -> None:
        counts[number].append(inputs[0].shape[:-1].numel())

    handles = [
        module.register_forward_hook(lambda _, inputs, __, number=number: watch(number, inputs))
        for number, module in enumerate(modules)
    ]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def head(model: FrozenModel) -> nn.Module:
    found: nn.Module = model.model.get_output_embeddings()
    return found


@pytest.mark.parametrize("plain", [False, True], ids=["packed", "plain"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "gpt_neox"])
def test_a_causal_head_and_last_block_see_only_what_carries_a_loss(
    causal: Maker, name: str, plain: bool
) -> None:
    """The blocks before see the prompt once and every token, or every row padded on its own."""
    model = causal(name, plain=plain)
    layers = layer_list(model.model)
    ran = len(LENGTHS) * (P + max(LENGTHS) + 1) if plain else P + TEXT + len(LENGTHS)
    with rows_through(head(model), layers[-1].mlp, layers[0].mlp) as counts:
        injection = Injection(prompts(model, 1, P), [P])
        model.losses(injection, rows(*LENGTHS, label_length=2)).sum().backward()
    assert counts == [[SCORED], [SCORED], [ran]]


@pytest.mark.parametrize("name", ["opt", "bloom"])
def test_where_the_last_block_stays_whole_the_head_still_sees_less(
    causal: Maker, name: str
) -> None:
    model = causal(name)
    with rows_through(head(model)) as counts:
        model.losses(Injection(prompts(model, 1, P), [P]), rows(*LENGTHS, label_length=2))
    assert counts == [[SCORED]]


def test_labels_that_share_a_position_ask_the_head_once(causal: Maker) -> None:
    model = causal("llama")
    with rows_through(head(model)) as counts:
        model.label_scores(None, rows(*LENGTHS, options=5))
    assert counts == [[len(LENGTHS)]]


@pytest.mark.parametrize("raw", [raw_t5, raw_bart])
def test_an_encoder_decoder_head_sees_only_label_positions(raw: Callable[[], object]) -> None:
    model = EncoderDecoderModel("tiny", raw(), word_tokenizer("", "<eos>"))
    batch = [*rows(*LENGTHS, label_length=2), *rows(5, label_length=4)]
    with rows_through(head(model)) as counts:
        model.losses(Injection(prompts(model, 1, P), [P]), batch)
    assert counts == [[SCORED + 4]], "and not the padding behind shorter labels"


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet"])
def test_a_masked_head_sees_only_masks(name: str) -> None:
    model = MaskedModel(name, raw_encoder(name, head=True), word_tokenizer("<bos>", "<eos>"))
    with rows_through(head(model)) as counts:
        injection = Injection(prompts(model, 1, P), [P])
        model.losses(injection, rows(*LENGTHS, label_length=2, slots=(Slot(1),)))
    assert counts == [[SCORED]]


def test_every_step_of_a_continuation_asks_the_head_once_per_row(causal: Maker) -> None:
    model = causal("llama")
    batch = [Row(row.prefix_ids, ()) for row in rows(*LENGTHS)]
    with rows_through(head(model)) as counts:
        model.generate_rows(Injection(prompts(model, 1, P).detach(), [P]), batch, None, 3)
    assert set(counts[0]) == {len(LENGTHS)}


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom"])
def test_logits_at_places_are_those_of_a_whole_pass_which_stays_whole(
    causal: Maker, name: str
) -> None:
    model = causal(name)
    ids = torch.tensor([[20, 21, 22], [23, 24, 25]])
    whole = model.model(input_ids=ids).logits
    arguments = {"inputs_embeds": model.embed_ids(ids)}
    chosen = logits_at(model.model, torch.tensor([1, 3, 5]), arguments)
    torch.testing.assert_close(chosen, torch.stack([whole[0, 1], whole[1, 0], whole[1, 2]]))
    torch.testing.assert_close(model.model(input_ids=ids).logits, whole)


def test_a_causal_head_carries_no_hook(causal: Maker) -> None:
    """transformers leaves out what is not read; only heads that it runs whole are hooked."""
    assert not head(causal("llama"))._forward_pre_hooks
    t5 = EncoderDecoderModel("tiny", raw_t5(), word_tokenizer("", "<eos>"))
    assert head(t5)._forward_pre_hooks


def test_scores_are_right_where_the_head_is_not_called() -> None:
    """MobileBERT multiplies by its head's weights itself, so no hook can leave places out."""
    sizes = {"hidden_size": 32, "embedding_size": 16, "num_hidden_layers": 2, "vocab_size": 64}
    narrow = {"intermediate_size": 48, "intra_bottleneck_size": 16, "true_hidden_size": 16}
    torch.manual_seed(0)
    raw = MobileBertForMaskedLM(MobileBertConfig(**sizes, **narrow, pad_token_id=1)).eval()
    model = MaskedModel("mobilebert", raw, word_tokenizer("<bos>", "<eos>"))
    row = Row((2, 8, 9), ((11,), (12,)), 0, suffix_ids=(10, 3))
    logits = raw(input_ids=torch.tensor([[2, 8, 9, 4, 10, 3]])).logits[0, 3].log_softmax(-1)
    found = model.label_scores(None, [row, Row((2, 7), ((13,), (14,)), 0, suffix_ids=(3,))])
    torch.testing.assert_close(found[0], logits[[11, 12]], atol=1e-5, rtol=1e-5)
