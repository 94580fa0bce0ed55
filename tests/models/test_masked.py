"""Masked language models: the prompt behind [CLS], label words read off masks."""

from __future__ import annotations

import pytest
import torch

from probe.models import Injection, InjectionError, Row, Slot, prepare
from probe.models.masked import MaskedModel
from probe.task import Example, Task
from tests.models.conftest import raw_encoder, word_tokenizer
from tests.models.exactness import assert_same, generate, prompts, run

NAMES = ["bert", "roberta", "mpnet"]
MASK = 4


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> MaskedModel:
    tokenizer = word_tokenizer("<bos>", "<eos>")
    return MaskedModel(request.param, raw_encoder(request.param, head=True), tokenizer)


BATCH = [
    Row((2, 20, 21, 22), ((30,), (31,)), 1, (33, 3), (Slot(1),)),
    Row((2, 25), ((30,), (31, 32)), 0, (3,), (Slot(1),)),
    Row((2, 26, 27, 28, 29), ((35, 36, 37), (31,)), 1, (34, 3), (Slot(1),)),
]


def likelihoods(model: MaskedModel, ids: list[int]) -> torch.Tensor:
    """[S, V] of one sequence, as transformers alone reads it."""
    with torch.no_grad():
        logits = raw_encoder(model.name, head=True)(input_ids=torch.tensor([ids])).logits[0]
    return logits.log_softmax(-1)


def test_label_words_are_scored_at_as_many_masks_as_they_have_tokens(model: MaskedModel) -> None:
    scores = model.label_scores(None, BATCH)
    for row, found in zip(BATCH, scores, strict=True):
        for option, score in zip(row.options, found, strict=True):
            ids = [*row.prefix_ids, *[MASK] * len(option), *row.suffix_ids]
            start = len(row.prefix_ids)
            table = likelihoods(model, ids)
            expected = sum(table[start + j, token] for j, token in enumerate(option))
            torch.testing.assert_close(score, expected, atol=2e-6, rtol=2e-6)


def test_a_prompt_of_real_tokens_equals_those_tokens_behind_cls(model: MaskedModel) -> None:
    ids = [40, 41, 42]
    injection = Injection(model.embed_ids(torch.tensor([ids])), [3])
    longer = [Row((2, *ids, *r.prefix_ids[1:]), r.options, r.label, r.suffix_ids) for r in BATCH]
    found = model.label_scores(injection, BATCH)
    torch.testing.assert_close(found, model.label_scores(None, longer), atol=2e-6, rtol=2e-6)
    assert (found - model.label_scores(None, BATCH)).abs().max() > 1e-2


def test_slots_on_both_sides_of_the_label_are_filled(model: MaskedModel) -> None:
    row = Row((2, 20, 21), ((30, 31),), 0, (22, 3), (Slot(1, 1), Slot(3, 1), Slot(5, 2)))
    spelled = Row((2, 40, 20, 21, 41), ((30, 31),), 0, (22, 42, 43, 3))
    injection = Injection(model.embed_ids(torch.tensor([[40, 41, 42, 43]])), [4])
    torch.testing.assert_close(
        model.losses(injection, [row]), model.losses(None, [spelled]), atol=2e-6, rtol=2e-6
    )


def test_many_prompts_equal_separate_runs(model: MaskedModel) -> None:
    embeddings = prompts(model, 3, 6)
    which, lengths = [2, 0, 2], [4, 5, 6]
    found = run(model, Injection(embeddings, lengths), BATCH, [embeddings], which)
    losses, slopes = [], torch.zeros_like(embeddings)
    weights = torch.linspace(0.5, 1.5, 3)
    for index, (row, k) in enumerate(zip(BATCH, which, strict=True)):
        own = embeddings[k : k + 1, : lengths[k]].detach().requires_grad_()
        loss = model.losses(Injection(own, [lengths[k]]), [row])[0]
        losses.append(loss.detach())
        slopes[k, : lengths[k]] += torch.autograd.grad(weights[index] * loss, own)[0][0]
    assert_same(found, (torch.stack(losses), [slopes]), loss=1e-5)


def test_positions_leave_out_those_the_model_never_uses(model: MaskedModel) -> None:
    """RoBERTa and MPNet count from the padding token's id on, so their table is longer."""
    assert model.positions == (64 if model.name == "bert" else 62)
    task = Task("t", "classification", "{text} is {label} .", ("great", "very bad"))
    rows = prepare(model, task, [Example("film " * 100, 1)], prompt_length=7)
    injection = Injection(prompts(model, 1, 7), [7])
    assert torch.isfinite(model.losses(injection, rows)).all()
    assert len(rows[0]) + 7 == model.positions
    with pytest.raises(InjectionError, match="positions, prompt and text need"):
        model.losses(Injection(prompts(model, 1, 8), [8]), rows)


def test_prefixes_and_generation_are_refused(model: MaskedModel) -> None:
    key_values = [(torch.zeros(1, 4, 2, 8), torch.zeros(1, 4, 2, 8))] * 3
    with pytest.raises(InjectionError, match="reads no key/value prefixes"):
        model.losses(Injection(None, [2], key_values), BATCH)
    with pytest.raises(InjectionError, match="writes no text"):
        generate(model, None, ["film"])
