"""The packed pass gives the numbers of separate rows: of the plain pass, and of PEFT's forward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from accelerate import dispatch_model
from peft import PromptTuningConfig, get_peft_model
from torch import Tensor

from probe.models import Injection, InjectionError, Row, Slot
from probe.models.causal import CausalModel
from tests.models.conftest import PACKING, PLAIN, raw_model, word_tokenizer
from tests.models.exactness import LENGTHS, assert_same, prompts, rows, run

Maker = Callable[..., CausalModel]


def peft_losses(name: str, embeddings: Tensor, batch: list[Row]) -> tuple[Tensor, list[Tensor]]:
    """The same rows through PEFT's own prompt tuning, one padded batch."""
    length, width = embeddings.shape[1:]
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=length, token_dim=width)
    model = get_peft_model(raw_model(name), config).eval()
    weight = model.prompt_encoder["default"].embedding.weight
    weight.data.copy_(embeddings[0])
    full = [[*row.prefix_ids, *row.options[0]] for row in batch]
    longest = max(map(len, full))
    ids = torch.tensor([[*line, *[1] * (longest - len(line))] for line in full])
    mask = torch.tensor([[1] * len(line) + [0] * (longest - len(line)) for line in full])
    scores = model(input_ids=ids, attention_mask=mask).logits.log_softmax(-1)
    losses = []
    for index, row in enumerate(batch):
        places = [length + len(row.prefix_ids) - 1 + j for j in range(len(row.options[0]))]
        losses.append(-scores[index, places, list(row.options[0])].mean())
    stacked = torch.stack(losses)
    weights = torch.linspace(0.5, 1.5, len(batch))
    return stacked.detach(), [torch.autograd.grad((stacked * weights).sum(), weight)[0][None]]


def _is_leaf(module: torch.nn.Module) -> bool:
    return next(module.children(), None) is None and any(True for _ in module.parameters())


@pytest.mark.parametrize("length", [1, 6, 20])
@pytest.mark.parametrize("name", PACKING)
def test_a_shared_prompt_gives_the_losses_and_gradients_of_separate_rows(
    causal: Maker, name: str, length: int
) -> None:
    packed, plain = causal(name), causal(name, plain=True)
    assert (packed.plain, plain.plain) == (False, True)
    batch = rows(*LENGTHS, label_length=2)
    embeddings = prompts(packed, 1, length)
    injection = Injection(embeddings, [length])
    found = run(packed, injection, batch, [embeddings])
    assert_same(found, run(plain, injection, batch, [embeddings]))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_losses_and_gradients_are_those_of_peft(causal: Maker, name: str) -> None:
    model = causal(name)
    assert model.plain == (name in PLAIN)
    batch = rows(*LENGTHS, label_length=2)
    embeddings = prompts(model, 1, 6)
    found = run(model, Injection(embeddings, [6]), batch, [embeddings])
    assert_same(found, peft_losses(name, embeddings, batch))


@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_a_model_spread_over_devices_gives_the_same(causal: Maker, name: str) -> None:
    """Every block behind accelerate's hooks, as on several GPUs; here each of them is the CPU."""
    raw = raw_model(name)
    parts = dict.fromkeys([path for path, part in raw.named_modules() if _is_leaf(part)], "cpu")
    spread = CausalModel(name, dispatch_model(raw, parts, force_hooks=True), word_tokenizer())
    assert spread.plain == (name in PLAIN) and hasattr(spread.embed, "_hf_hook")
    embeddings, batch = prompts(spread, 1, 6), rows(*LENGTHS, label_length=2)
    found = run(spread, Injection(embeddings, [6]), batch, [embeddings])
    assert_same(found, run(causal(name), Injection(embeddings, [6]), batch, [embeddings]))


@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_many_prompts_of_different_lengths_equal_separate_runs(causal: Maker, name: str) -> None:
    model = causal(name)
    batch, which = rows(*LENGTHS, label_length=2), [2, 0, 2, 3]
    embeddings = prompts(model, 5, 9)
    lengths = [4, 7, 9, 0, 5]
    losses, (gradient,) = run(model, Injection(embeddings, lengths), batch, [embeddings], which)
    weights = torch.linspace(0.5, 1.5, len(batch))
    expected = torch.zeros_like(embeddings)
    for index, (row, k) in enumerate(zip(batch, which, strict=True)):
        own = embeddings[k : k + 1, : lengths[k]].detach().requires_grad_()
        alone = model.losses(Injection(own, [lengths[k]]) if lengths[k] else None, [row])
        torch.testing.assert_close(losses[index], alone[0].detach(), atol=1e-5, rtol=1e-5)
        if lengths[k]:
            slope = torch.autograd.grad(weights[index] * alone[0], own)[0]
            expected[k, : lengths[k]] += slope[0]
    assert_same((losses, [gradient]), (losses, [expected]))
    assert not gradient[1].any(), "a prompt nobody read has no gradient"
    assert not gradient[4].any(), "a prompt nobody read has no gradient"
    assert not gradient[0, 4:].any(), "padding has no gradient"


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral-window", "qwen2-window", "opt"])
def test_labels_of_several_tokens_share_their_text(causal: Maker, name: str) -> None:
    packed, plain = causal(name), causal(name, plain=True)
    batch = [
        Row(row.prefix_ids, (row.options[0], row.options[1][:1], row.options[2][:2]), row.label)
        for row in rows(*LENGTHS, options=3, label_length=4)
    ]
    embeddings = prompts(packed, 2, 6)
    injection, which = Injection(embeddings, [6, 3]), torch.tensor([0, 1, 1, 0])
    scores = packed.label_scores(injection, batch, which)
    torch.testing.assert_close(scores, plain.label_scores(injection, batch, which))
    for column in range(3):
        single = [Row(row.prefix_ids, (row.options[column],), 0) for row in batch]
        alone = -plain.losses(injection, single, which) * len(batch[0].options[column])
        torch.testing.assert_close(scores[:, column], alone)


def test_rows_with_fewer_labels_are_filled_with_impossible_ones(causal: Maker) -> None:
    model = causal("gpt2")
    three, two = rows(4, options=3)[0], rows(5, options=2)[0]
    scores = model.label_scores(None, [three, two])
    assert torch.isinf(scores).tolist() == [[False] * 3, [False, False, True]]
    assert torch.isfinite(model.losses(None, [three, two])).all()


@pytest.mark.parametrize("name", ["gpt2", "mistral-window", "opt-projected", "bloom"])
def test_prompt_rows_may_stand_anywhere_in_the_text(causal: Maker, name: str) -> None:
    """Rows that are real token embeddings equal the tokens themselves, wherever they stand."""
    model = causal(name)
    row = rows(8, label_length=2)[0]
    text = row.prefix_ids
    inside = (11, 12, 13)
    embeddings = model.embed_ids(torch.tensor([inside]))
    slotted = Row(text, row.options, 0, slots=(Slot(2, 1), Slot(6, 2)))
    spelled = Row((*text[:2], 11, *text[2:6], 12, 13, *text[6:]), row.options, 0)
    found = model.losses(Injection(embeddings, [3]), [slotted, spelled, slotted])
    expected = model.losses(None, [spelled])
    torch.testing.assert_close(found[[0, 2]], expected.expand(2), atol=1e-6, rtol=1e-6)
    assert abs(found[1] - expected) > 1e-3, "the prompt also stands before rows without slots"


def test_slots_and_prompts_of_different_lengths_are_refused(causal: Maker) -> None:
    model = causal("gpt2")
    with pytest.raises(Exception, match="asks for 3 prompt rows, the prompt has 2"):
        model.losses(Injection(prompts(model, 1, 2), [2]), rows(4, slots=(Slot(1, 1), Slot(2, 2))))


@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_a_prompt_of_real_tokens_equals_those_tokens(causal: Maker, name: str) -> None:
    """Embeddings go in as the model itself feeds them, whatever it scales or projects."""
    model = causal(name)
    ids = [20, 21, 22, 23]
    batch = rows(*LENGTHS, label_length=2)
    longer = [Row((*ids, *row.prefix_ids), row.options, row.label) for row in batch]
    found = model.losses(Injection(model.embed_ids(torch.tensor([ids])), [4]), batch)
    torch.testing.assert_close(found, model.losses(None, longer), atol=2e-6, rtol=2e-6)


def test_a_trained_row_is_the_mean_over_its_label_tokens(causal: Maker) -> None:
    model = causal("llama")
    row = rows(6, label_length=3)[0]
    ids = torch.tensor([[*row.prefix_ids, *row.options[0]]])
    logits = raw_model("llama")(input_ids=ids).logits[0].log_softmax(-1)
    expected = -logits[[5, 6, 7], list(row.options[0])].mean()
    torch.testing.assert_close(model.losses(None, [row])[0], expected)


def test_label_words_are_weighed_against_each_other(causal: Maker) -> None:
    model = causal("llama")
    row = rows(6, options=3)[0]
    restricted = Row(row.prefix_ids, row.options, 1, objective="label_words")
    scores = model.label_scores(None, [row])
    expected = -scores.log_softmax(-1)[0, 1]
    mixed = model.losses(None, [restricted, row])
    torch.testing.assert_close(mixed[0], expected)
    torch.testing.assert_close(mixed[1:], model.losses(None, [row]))


def test_prompts_that_do_not_fit_are_refused(causal: Maker) -> None:
    model = causal("llama")
    batch = rows(*LENGTHS)
    with pytest.raises(InjectionError, match="reads prompts of width 32, found 31"):
        model.losses(Injection(torch.zeros(1, 2, 31), [2]), batch)
    with pytest.raises(InjectionError, match="which must name one of 1 prompt for each of 4"):
        model.losses(Injection(torch.zeros(1, 2, 32), [2]), batch, torch.tensor([0, 1, 0, 0]))
    with pytest.raises(InjectionError, match="has 64 positions, prompt and text need 71"):
        model.losses(Injection(torch.zeros(1, 60, 32), [60]), batch)
    with pytest.raises(InjectionError, match="cannot hold 1 prompt of lengths"):
        Injection(torch.zeros(1, 2, 32), [3])
    with pytest.raises(InjectionError, match="no decoder half"):
        model.losses(Injection(None, [0], None, torch.zeros(1, 2, 32), [2]), batch)
