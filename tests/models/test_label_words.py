"""Labels of several words: their probabilities add up, in scores and in every loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from probe.models import FrozenModel, Injection, Objective, load_model, prepare
from probe.task import Example, Task
from tests import tiny

MAKERS = {
    "causal": tiny.save_causal,
    "encoder_decoder": tiny.save_encoder_decoder,
    "masked": tiny.save_masked,
    "sentence_encoder": tiny.save_sentence_encoder,
}
EXAMPLES = [Example("a bright day and song", 0), Example("the dull film", 1)]


def words_of(*labels: tuple[str, ...]) -> Task:
    first = tuple(label[0] for label in labels)
    further = tuple(label[1:] for label in labels)
    return Task("t", "classification", "{text} it was", first, further)


@pytest.fixture(scope="module", params=list(MAKERS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenModel:
    folder: Path = tmp_path_factory.mktemp(request.param)
    return load_model(str(MAKERS[request.param](folder)), device="cpu")


def test_a_label_is_as_likely_as_its_words_together(model: FrozenModel) -> None:
    several = words_of(("warm", "kind", "very grand"), ("cold",))
    apart = words_of(("warm",), ("cold",), ("kind",), ("very grand",))
    scores = model.label_scores(None, prepare(model, several, EXAMPLES))
    each = model.label_scores(None, prepare(model, apart, EXAMPLES))
    expected = torch.stack([each[:, [0, 2, 3]].logsumexp(1), each[:, 1]], 1)
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize("objective", ["full", "label_words"])
def test_the_loss_is_of_the_same_sum(model: FrozenModel, objective: Objective) -> None:
    several = words_of(("warm", "kind"), ("cold", "harsh", "mean"))
    rows = prepare(model, several, EXAMPLES, objective=objective)
    scores = model.label_scores(None, rows)
    right = torch.tensor([0, 1])
    expected = cross_entropy(scores, right, reduction="none")
    if objective == "full" and model.family != "sentence_encoder":
        expected = -scores.gather(1, right[:, None])[:, 0]
    torch.testing.assert_close(model.losses(None, rows), expected)


def test_tasks_with_and_without_synonyms_share_a_batch(model: FrozenModel) -> None:
    kinds = [
        words_of(("warm", "kind"), ("cold",)),
        words_of(("sweet",), ("sour",), ("calm",)),
    ]
    apart = [prepare(model, kind, EXAMPLES) for kind in kinds]
    prompt = torch.randn(1, 3, model.width, generator=torch.Generator().manual_seed(0))
    injection = Injection(prompt.requires_grad_(), [3])
    together = model.label_scores(injection, [*apart[0], *apart[1]])
    assert together.shape == (4, 3)
    assert together[:2, 2].isinf().all()
    for rows, found in zip(apart, (together[:2, :2], together[2:]), strict=True):
        torch.testing.assert_close(model.label_scores(injection, rows), found)
    cross_entropy(together, torch.tensor([0, 1, 2, 0])).backward()
    assert prompt.grad is not None and prompt.grad.isfinite().all()
