"""A frozen model stays frozen, whatever is done to it; lower precision stays close."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from probe.models import FrozenModel, Injection, load_model, prepare, scorer
from probe.models.causal import CausalModel
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.models.masked import MaskedModel
from probe.models.sentence_encoder import SentenceEncoder
from probe.prompt import SoftPrompt
from probe.task import Example, Task
from tests.models.conftest import raw_bart, raw_encoder, raw_model, raw_t5, word_tokenizer
from tests.models.exactness import LENGTHS, generate, prefixes, prompts, relative, rows, run

FRAMED = word_tokenizer("<bos>", "<eos>")
MAKERS: dict[str, Callable[[], FrozenModel]] = {
    "llama": lambda: CausalModel("llama", raw_model("llama"), word_tokenizer()),
    "gpt2": lambda: CausalModel("gpt2", raw_model("gpt2"), word_tokenizer()),
    "bloom": lambda: CausalModel("bloom", raw_model("bloom"), word_tokenizer()),
    "t5": lambda: EncoderDecoderModel("t5", raw_t5(), word_tokenizer("", "<eos>")),
    "bart": lambda: EncoderDecoderModel("bart", raw_bart(), FRAMED),
    "bert": lambda: MaskedModel("bert", raw_encoder("bert", head=True), FRAMED),
    "encoder": lambda: SentenceEncoder("encoder", raw_encoder("bert", head=False), FRAMED),
}
TASK = Task("t", "classification", "{text} is", ("great", "very bad"))
EXAMPLES = [Example("the film", 0), Example("a truly dull book", 1), Example("it", 1)]


@pytest.mark.parametrize("name", MAKERS)
def test_training_a_prompt_never_changes_a_byte_of_the_model(name: str) -> None:
    model = MAKERS[name]()
    before = model.fingerprint
    batch = prepare(model, TASK, EXAMPLES)
    embeddings = prompts(model, 2, 5)
    leaves = [embeddings]
    injections = [Injection(embeddings, [5, 3])]
    if model.kv_shape:
        key_values = prefixes(model, 2, 4)
        leaves += [tensor for layer in key_values for tensor in layer]
        injections.append(Injection(None, [4, 2], key_values))
    optimiser = torch.optim.AdamW(leaves, lr=0.05)
    which = torch.tensor([0, 1, 1])
    history = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = torch.stack([model.losses(each, batch, which).mean() for each in injections]).sum()
        loss.backward()
        optimiser.step()
        history.append(loss.item())
    assert history[-1] < 0.9 * history[0], "training trains"
    if name not in ("bert", "encoder"):
        generate(model, injections[0], ["film", "book", "it"], which, max_new_tokens=3)
    assert model.fingerprint == before
    assert all(parameter.grad is None for parameter in model.model.parameters())


@pytest.mark.parametrize("name", MAKERS)
def test_padding_never_changes_a_number(name: str) -> None:
    """A row means the same alone and beside longer ones."""
    model = MAKERS[name]()
    texts = [Example("the film", 0), Example("a truly dull book and a bad film , very bad", 1)]
    batch = prepare(model, TASK, texts)
    injection = Injection(prompts(model, 1, 4), [4])
    together = model.label_scores(injection, batch)
    alone = torch.cat([model.label_scores(injection, [row]) for row in batch])
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_a_model_switched_to_training_still_has_no_dropout(name: str) -> None:
    """Nor may gradient checkpointing, which drops caches in training, come into force."""
    model = MAKERS[name]()
    batch = prepare(model, TASK, EXAMPLES)
    injections = [Injection(prompts(model, 1, 4), [4])]
    if model.kv_shape:
        injections.append(Injection(None, [4], prefixes(model, 1, 4)))
    before = [model.losses(each, batch) for each in injections]
    model.model.activation_checkpointing_enable()
    model.model.train()
    assert all(
        torch.equal(model.losses(each, batch), losses)
        for each, losses in zip(injections, before, strict=True)
    )


@pytest.mark.parametrize("name", ["llama", "gpt2", "mistral-window"])
@pytest.mark.parametrize("plain", [False, True])
def test_bfloat16_stays_close_to_float32(name: str, plain: bool) -> None:
    exact = CausalModel(name, raw_model(name), word_tokenizer(), plain=plain)
    half = CausalModel(name, raw_model(name).bfloat16(), word_tokenizer(), plain=plain)
    assert half.autocast and not exact.autocast
    batch = rows(*LENGTHS, label_length=2)
    embeddings = prompts(exact, 1, 6)
    injection = Injection(embeddings, [6])
    found, expected = (run(model, injection, batch, [embeddings]) for model in (half, exact))
    assert found[0].dtype == found[1][0].dtype == torch.float32
    torch.testing.assert_close(found[0], expected[0], rtol=0.05, atol=0.05)
    assert 1e-6 < relative(found[1][0], expected[1][0]) < 0.1
    assert generate(half, injection, ["the film"], max_new_tokens=3)
    key_values = prefixes(exact, 1, 4)
    prefix = Injection(None, [4], key_values)
    slopes = [
        torch.autograd.grad(model.losses(prefix, batch).sum(), key_values[1][0])[0]
        for model in (half, exact)
    ]
    assert relative(*slopes) < 0.15


def test_every_family_can_be_loaded_in_bfloat16(tmp_path: Path) -> None:
    for name, make in MAKERS.items():
        folder = tmp_path / name
        model = make()
        model.model.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        half = load_model(folder, device="cpu", dtype="bfloat16")
        assert half.model.dtype == torch.bfloat16
        batch = prepare(half, TASK, EXAMPLES)
        embeddings = prompts(half, 1, 4)
        found = half.losses(Injection(embeddings, [4]), batch)
        expected = model.losses(Injection(embeddings, [4]), batch)
        torch.testing.assert_close(found, expected, rtol=0.15, atol=0.15)


def test_scores_come_in_the_order_of_the_examples() -> None:
    model = MAKERS["llama"]()
    prompt = SoftPrompt("p", prompts(model, 1, 4).detach()[0].numpy())
    texts = ["film " * n for n in (7, 1, 4, 2, 9, 3)]
    found = scorer(model, TASK, batch_size=4)(prompt, [Example(text) for text in texts])
    alone = [scorer(model, TASK)(prompt, [Example(text)])[0] for text in texts]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, alone, atol=1e-5)
    assert not np.allclose(found, scorer(model, TASK)(None, [Example(t) for t in texts]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_gpu_gives_the_numbers_of_the_processor(dtype: str) -> None:
    near, far = (load_model("builtin", device=d, dtype=dtype) for d in ("cpu", "cuda"))
    sentiment = Task("t", "classification", "{text} It was", ("great", "terrible"))
    tolerance = 1e-3 if dtype == "float32" else 0.2
    losses = []
    for model in (near, far):
        batch = prepare(model, sentiment, EXAMPLES)
        prompt = model.embed_ids(torch.tensor([[500, 600, 700]]))
        losses.append(model.losses(Injection(prompt, [3]), batch).cpu())
    torch.testing.assert_close(losses[0], losses[1], atol=tolerance, rtol=tolerance)
