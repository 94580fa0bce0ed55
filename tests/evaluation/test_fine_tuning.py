"""Full fine-tuning trains a copy, all of it, and leaves the frozen model alone."""

import copy

import numpy as np
import pytest
import torch

from probe.errors import TrainingError
from probe.evaluation import Condition, FineTuning, answer, fine_tuned
from probe.evaluation import fine_tuning as module
from probe.models import load_model, prepare
from probe.models.sentence_encoder import SentenceEncoder
from tests import tiny

SETTINGS = FineTuning(steps=60, learning_rate=0.02, batch_size=8)


@pytest.fixture(scope="module")
def sentence_encoder(tmp_path_factory):
    return load_model(tiny.save_sentence_encoder(tmp_path_factory.mktemp("sentence")), device="cpu")


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("causal", SETTINGS),
        ("encoder_decoder", SETTINGS),
        ("masked", SETTINGS),
        ("sentence_encoder", FineTuning(steps=30, learning_rate=0.005, batch_size=8)),
    ],
)
@pytest.mark.slow
def test_the_copy_learns_and_the_frozen_model_keeps_every_byte(family, settings, request):
    model, task = request.getfixturevalue(family), tiny.task(40)
    before = model.fingerprint
    tuned = fine_tuned(model, task, settings)
    assert model.fingerprint == before != tuned.fingerprint
    assert not any(weight.requires_grad for weight in tuned.model.parameters())
    conditions = [Condition("zero-shot", task)]
    untrained, trained = (answer(m, conditions, task.train)[0] for m in (model, tuned))
    labels = np.array([example.label for example in task.train])
    assert trained.losses_nats.mean() < untrained.losses_nats.mean() - 0.5
    assert np.mean(trained.predicted == labels) > 0.8


def test_every_weight_that_a_row_passes_is_trained_the_embedding_included(causal):
    tuned = fine_tuned(causal, tiny.task(40), FineTuning(steps=2, learning_rate=0.01))
    frozen = dict(causal.model.named_parameters())
    still = [
        name for name, weight in tuned.model.named_parameters() if torch.equal(weight, frozen[name])
    ]
    assert still == []
    used = causal.tokenizer.convert_tokens_to_ids(["film", "it", "was"])
    moved = tuned.embed_ids(torch.tensor(used)) - causal.embed_ids(torch.tensor(used))
    assert moved.abs().amax(1).min() > 1e-3


def test_a_sentence_encoder_is_trained_on_the_side_of_its_labels_too(sentence_encoder):
    task = tiny.task(40)
    rows = prepare(sentence_encoder, task, task.train)
    before = sentence_encoder.label_scores(None, rows)
    tuned = fine_tuned(sentence_encoder, task, FineTuning(steps=2, learning_rate=0.01))
    words = torch.tensor(tuned.tokenizer.convert_tokens_to_ids(list(tiny.LABELS)))
    assert not any(set(words.tolist()) & set(row.prefix_ids) for row in rows)
    moved = tuned.embed_ids(words) - sentence_encoder.embed_ids(words)
    assert moved.abs().amax(1).min() > 1e-3
    found = tuned.label_scores(None, rows)
    fresh = SentenceEncoder("fresh", copy.deepcopy(tuned.model), tuned.tokenizer)
    torch.testing.assert_close(found, fresh.label_scores(None, rows))
    assert not torch.allclose(found, before)
    torch.testing.assert_close(sentence_encoder.label_scores(None, rows), before)


def test_the_same_seed_gives_the_same_model(causal):
    settings = [FineTuning(steps=3, seed=seed) for seed in (1, 1, 2)]
    one, same, other = (fine_tuned(causal, tiny.task(40), s).fingerprint for s in settings)
    assert one == same != other


def test_what_cannot_be_fine_tuned_is_refused(causal, monkeypatch):
    with pytest.raises(TrainingError, match="no training examples"):
        fine_tuned(causal, tiny.task(0, validation=2), SETTINGS)
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(TrainingError, match="at most 100: compare with a smaller model"):
        fine_tuned(causal, tiny.task(8), SETTINGS)


def test_a_diverging_run_says_so(causal):
    with pytest.raises(TrainingError, match="diverged at step"):
        fine_tuned(causal, tiny.task(8), FineTuning(steps=40, learning_rate=float("inf")))
