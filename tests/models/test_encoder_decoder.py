"""Encoder–decoder models: prompts of both halves and prefixes, against PEFT and oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model

from probe.models import Injection, Row
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.prompt import PromptPair, SoftPrompt
from tests.models.conftest import raw_bart, raw_t5, word_tokenizer
from tests.models.exactness import assert_same, generate, prefixes, prompts, run

RAW: dict[str, Callable[[], Any]] = {"t5": raw_t5, "bart": raw_bart}
BATCH = [
    Row((20, 21, 22, 3), ((30,), (31,)), 1),
    Row((25, 3), ((30, 33), (31, 32, 34)), 0),
    Row((26, 27, 28, 29, 20, 3), ((35, 36, 37), (31,)), 1),
]
TEXTS = ["the film was", "a", "good book and a very bad film", "it is not"]


@pytest.fixture(params=list(RAW))
def model(request: pytest.FixtureRequest) -> EncoderDecoderModel:
    return EncoderDecoderModel(request.param, RAW[request.param](), word_tokenizer("", "<eos>"))


def adapted(model: EncoderDecoderModel, config: Any, weight: torch.Tensor) -> Any:
    """PEFT's own model with these prompt weights."""
    theirs = get_peft_model(RAW[model.name](), config).eval()
    table = theirs.prompt_encoder["default"].embedding.weight
    table.data.zero_()
    table.data[: len(weight)] = weight
    return theirs


def peft_losses(model: EncoderDecoderModel, theirs: Any) -> torch.Tensor:
    """Mean loss of every row's right label, one row at a time."""
    losses = []
    for row in BATCH:
        ids, option = torch.tensor([row.prefix_ids]), row.options[row.label or 0]
        logits = theirs(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            decoder_input_ids=torch.tensor([[model.start, *option[:-1]]]),
        ).logits[0]
        losses.append(-logits.log_softmax(-1)[range(len(option)), list(option)].mean())
    return torch.stack(losses)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_encoder_prompt_gives_the_losses_and_gradients_of_peft(
    model: EncoderDecoderModel,
) -> None:
    embeddings = prompts(model, 1, 5)
    config = PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=5)
    theirs = adapted(model, config, embeddings[0].detach())
    expected = peft_losses(model, theirs)
    weight = theirs.prompt_encoder["default"].embedding.weight
    slope = torch.autograd.grad((expected * torch.linspace(0.5, 1.5, 3)).sum(), weight)[0]
    found = run(model, Injection(embeddings, [5]), BATCH, [embeddings])
    assert_same(found, (expected.detach(), [slope[None, :5]]))
    assert not slope[5:].any(), "PEFT's second half of rows is never read"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_prefix_gives_the_losses_of_peft(model: EncoderDecoderModel) -> None:
    config = PrefixTuningConfig(
        task_type="SEQ_2_SEQ_LM",
        num_virtual_tokens=4,
        num_layers=2 * 3 // 2,
        num_attention_heads=4,
        token_dim=32,
    )
    torch.manual_seed(0)
    weight = torch.randn(4, 2 * 3 * 32)
    assert model.kv_shape == (3, 4, 8)
    theirs = adapted(model, config, weight)
    layers = _layers_as_peft_reads_them(theirs)
    found = model.losses(Injection(None, [4], layers), BATCH)
    torch.testing.assert_close(found, peft_losses(model, theirs), atol=2e-6, rtol=2e-6)


def _layers_as_peft_reads_them(theirs: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    cache = theirs.get_prompt(1).self_attention_cache
    return [(keys.detach(), values.detach()) for keys, values, _ in cache]


def test_a_prompt_of_real_tokens_equals_those_tokens(model: EncoderDecoderModel) -> None:
    ids = [40, 41, 42]
    injection = Injection(model.embed_ids(torch.tensor([ids])), [3])
    longer = [Row((*ids, *row.prefix_ids), row.options, row.label) for row in BATCH]
    found = model.label_scores(injection, BATCH)
    torch.testing.assert_close(found, model.label_scores(None, longer), atol=2e-6, rtol=2e-6)
    assert (found - model.label_scores(None, BATCH)).abs().max() > 1e-2


def test_a_decoder_prompt_stands_before_the_start_token(model: EncoderDecoderModel) -> None:
    ids = [40, 41]
    encoder = SoftPrompt("e", np.random.default_rng(0).normal(size=(3, 32)), submodule="encoder")
    table = model.model.get_decoder().get_input_embeddings()
    decoder = SoftPrompt("d", table(torch.tensor(ids)).detach().numpy(), submodule="decoder")
    injection = model.injection_of([PromptPair(encoder, decoder), encoder, decoder])
    found = model.losses(injection, BATCH, torch.tensor([0, 1, 2]))
    for index, (row, read) in enumerate(zip(BATCH, [(1, 1), (1, 0), (0, 1)], strict=True)):
        option = row.options[row.label or 0]
        items = [row.items(3 if read[0] else 0)]
        states = torch.cat(
            [torch.from_numpy(encoder.embeddings.copy())] * read[0]
            + [model.embed_ids(torch.tensor(row.prefix_ids))]
        )[None]
        start = [*(ids if read[1] else []), model.start, *option[:-1]]
        logits = RAW[model.name]()(
            inputs_embeds=states, decoder_input_ids=torch.tensor([start])
        ).logits[0, -len(option) :]
        expected = -logits.log_softmax(-1)[range(len(option)), list(option)].mean()
        torch.testing.assert_close(found[index], expected, atol=2e-6, rtol=2e-6)
        assert items


@pytest.mark.parametrize("kind", ["prompts", "prefixes"])
def test_many_prompts_of_different_lengths_equal_separate_runs(
    model: EncoderDecoderModel, kind: str
) -> None:
    lengths, which = [4, 0, 6], [2, 0, 1]
    key_values = prefixes(model, 3, 6)
    embeddings = prompts(model, 3, 6)

    def injection(k: int | None = None) -> Injection:
        some = slice(None) if k is None else slice(k, k + 1)
        if kind == "prompts":
            return Injection(embeddings[some], lengths[some])
        return Injection(None, lengths[some], [(a[some], b[some]) for a, b in key_values])

    leaf = embeddings if kind == "prompts" else key_values[1][0]
    together = model.losses(injection(), BATCH, torch.tensor(which))
    alone = torch.cat(
        [model.losses(injection(k), [row]) for row, k in zip(BATCH, which, strict=True)]
    )
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    slopes = [torch.autograd.grad(losses.sum(), leaf)[0] for losses in (together, alone)]
    torch.testing.assert_close(slopes[0], slopes[1], atol=1e-5, rtol=1e-5)
    assert slopes[1].norm() > 1e-3


def oracle(model: EncoderDecoderModel, injection: Injection | None, text: str, k: int) -> list[int]:
    """The most likely next token again and again, by scoring every continuation as a label."""
    ids = tuple(model.tokenizer(text)["input_ids"])
    written: list[int] = []
    while len(written) < 5:
        options = tuple((*written, token) for token in range(model.vocabulary_size))
        index = None if injection is None else torch.tensor([k])
        scores = model.label_scores(injection, [Row(ids, options)], index)
        best = int(scores.argmax())
        if best in model.stops:
            break
        written.append(best)
    return written


@pytest.mark.parametrize("kind", ["prompts", "prefixes", "pairs"])
def test_generation_with_mixed_prompts_equals_a_greedy_oracle(
    model: EncoderDecoderModel, kind: str
) -> None:
    lengths, which = [4, 0, 6], [2, 0, 1, 0]
    embeddings = prompts(model, 3, 6).detach()
    injection = {
        "prompts": lambda: Injection(embeddings, lengths),
        "prefixes": lambda: Injection(None, lengths, prefixes(model, 3, 6)),
        "pairs": lambda: Injection(embeddings, lengths, None, embeddings.flip(0), [2, 3, 0]),
    }[kind]()
    found = generate(model, injection, TEXTS, torch.tensor(which), max_new_tokens=5)
    expected = [
        model.tokenizer.decode(oracle(model, injection, text, k), skip_special_tokens=True)
        for text, k in zip(TEXTS, which, strict=True)
    ]
    assert found == expected
    assert found != generate(model, None, TEXTS, max_new_tokens=5)
