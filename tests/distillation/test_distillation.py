"""A prompt is trained to have a text's effect, and how much of it it has is measured."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from probe.distillation import (
    Frame,
    chat_frame,
    default_contexts,
    distillation_config,
    distillation_tasks,
    explained,
    frame_of,
    read_contexts,
)
from probe.distillation.explained import row_divergences, share_explained, taught_rows
from probe.errors import DataError, TrainingError
from probe.models import FrozenModel
from probe.models.generation import sampling
from probe.models.language import LanguageModel
from probe.prompt import SoftPrompt
from probe.training import TrainConfig, train
from probe.training.data import with_text
from probe.training.initialise import embedded, text_ids

TEXT = "bright sweet warm"
FRAME = Frame("own", "the {prompt} film {text} was")
CONTEXTS = ["dull day", "a song", "sour soup", "cold film", "it was", "so mean", "w3", "w7 w8"]


def _task(model: FrozenModel, length: int = 3):  # type: ignore[no-untyped-def]
    (task,) = distillation_tasks(
        model, [TEXT], FRAME, length=length, contexts=CONTEXTS, answer_tokens=5
    )
    return task


def test_the_rows_of_the_text_itself_have_all_of_its_effect(plain_model: FrozenModel) -> None:
    task = _task(plain_model)
    rows = embedded(plain_model, text_ids(plain_model, TEXT)).numpy()
    found = explained(plain_model, task, TEXT, SoftPrompt("the text", rows))
    assert found.kl0_nats > 0.01
    assert found.kl_nats == pytest.approx(0, abs=1e-4)
    assert found.share == pytest.approx(1, abs=1e-2)
    assert explained(plain_model, task, TEXT, TEXT).share == pytest.approx(1, abs=1e-2)
    assert found.contexts == len(task.test) == 2


def test_the_loss_is_the_divergence_of_the_two_distributions(plain_model: FrozenModel) -> None:
    assert isinstance(plain_model, LanguageModel)
    task = _task(plain_model)
    rows = taught_rows(plain_model, task, TEXT, task.train)
    prompt = SoftPrompt("p", np.random.default_rng(0).normal(0, 0.3, (3, 16)).astype(np.float32))
    found = row_divergences(plain_model, rows, prompt)
    injection = plain_model.injection_of([prompt])
    ids = text_ids(plain_model, TEXT)
    for number, row in enumerate(rows):
        with torch.no_grad():
            student, _ = plain_model.target_logits(injection, [row])
            teacher, _ = plain_model.target_logits(None, [with_text(row, ids)])
        logs = torch.log_softmax(teacher, -1)
        divergence = (logs.exp() * (logs - torch.log_softmax(student, -1))).sum(-1).mean()
        assert found[number] == pytest.approx(divergence.item(), abs=2e-4)


def test_distilling_explains_more_and_more_of_the_text(plain_model: FrozenModel) -> None:
    task = _task(plain_model)
    config = distillation_config(TEXT, 3, steps=60, batch_size=6, learning_rate=0.05)
    training = train(plain_model, task, config)
    losses = [step.loss_nats for step in training]
    assert losses[-1] < 0.3 * losses[0]
    (prompt,) = training.prompts
    assert explained(plain_model, task, TEXT, prompt, examples=task.train).share > 0.6
    assert prompt.config["training"]["teacher"] == TEXT


def test_k_texts_at_once_end_as_they_would_alone(plain_model: FrozenModel) -> None:
    texts = [TEXT, "cold harsh"]
    tasks = distillation_tasks(
        plain_model, texts, FRAME, length=3, contexts=CONTEXTS, answer_tokens=5
    )
    configs = [
        distillation_config(text, 3, steps=8, batch_size=4, seed=number)
        for number, text in enumerate(texts)
    ]
    together = train(plain_model, tasks, configs)
    for _ in together:
        pass
    for task, config, prompt in zip(tasks, configs, together.prompts, strict=True):
        alone = train(plain_model, task, config)
        for _ in alone:
            pass
        assert isinstance(prompt, SoftPrompt) and isinstance(alone.prompts[0], SoftPrompt)
        np.testing.assert_allclose(prompt.embeddings, alone.prompts[0].embeddings, atol=1e-4)


def test_distilled_and_labelled_rows_share_a_batch(plain_model: FrozenModel) -> None:
    task = _task(plain_model)
    taught = taught_rows(plain_model, task, TEXT, task.train)
    plain = [dataclasses.replace(row, teacher=None, objective="full") for row in taught]
    injection = plain_model.injection_of([SoftPrompt("p", np.ones((3, 16), np.float32))])
    mixed = [row for pair in zip(taught, plain, strict=True) for row in pair]
    found = plain_model.losses(injection, mixed)
    torch.testing.assert_close(found[::2], plain_model.losses(injection, taught))
    torch.testing.assert_close(found[1::2], plain_model.losses(injection, plain))


def test_a_teacher_that_reads_nothing_teaches_nothing(plain_model: FrozenModel) -> None:
    task = _task(plain_model)
    rows = taught_rows(plain_model, task, TEXT, task.train)
    alone = train(plain_model, task, distillation_config("", 3, steps=2, batch_size=4))
    (run,) = alone.runs
    silent = [row for row in run.data.train if row.teacher is not None]
    assert len(silent) == len(rows)
    np.testing.assert_allclose(row_divergences(plain_model, silent, None), 0, atol=1e-4)


def test_the_share_is_paired_over_contexts() -> None:
    without = np.array([1.0, 2.0, 4.0, 8.0])
    found = share_explained(without / 4, without)
    assert found.share == pytest.approx(0.75)
    assert found.interval == pytest.approx((0.75, 0.75))


def test_a_chat_template_makes_the_frame(chat_model: FrozenModel, plain_model: FrozenModel) -> None:
    assert chat_frame(chat_model).template == "system {prompt} it user {text} it was"
    assert frame_of(chat_model).name == "chat"
    assert frame_of(plain_model).name == "plain"
    assert frame_of(plain_model, "{prompt} so {text}").with_rows(4) == "{prompt:4} so {text}"
    with pytest.raises(TrainingError, match="no chat template: use the frame plain"):
        frame_of(plain_model, "chat")
    with pytest.raises(TrainingError, match="expected one of the frames chat, plain"):
        frame_of(plain_model, "chatty")
    with pytest.raises(TrainingError, match="once each"):
        Frame("own", "{prompt} {prompt} {text}")
    with pytest.raises(TrainingError, match="without {text}"):
        FRAME.with_text("see {text}")


def test_contexts_come_from_a_file(tmp_path: Path) -> None:
    assert len(default_contexts()) == len(set(default_contexts())) == 64
    path = tmp_path / "contexts.txt"
    path.write_text("one\n\ntwo\ntwo\n", encoding="utf-8")
    with pytest.raises(DataError, match="three or more different contexts, one per line, found 2"):
        read_contexts(path)
    with pytest.raises(DataError, match="expected a text file with a context per line"):
        read_contexts(tmp_path / "absent.txt")


def test_objective_and_teacher_belong_together() -> None:
    with pytest.raises(TrainingError, match="belong together"):
        TrainConfig(objective="distill")
    with pytest.raises(TrainingError, match="belong together"):
        TrainConfig(teacher="a text")


def test_a_family_that_writes_no_text_cannot_be_distilled(tmp_path: Path) -> None:
    from probe.models import load_model
    from tests import tiny

    encoder = load_model(tiny.save_sentence_encoder(tmp_path), device="cpu")
    with pytest.raises(Exception, match="writes no text: generate with a causal"):
        _task(encoder)


def test_sampling_follows_the_distribution_and_the_seed() -> None:
    logits = torch.log(torch.tensor([0.6, 0.0, 0.3, 0.1])).expand(4000, 4)
    drawn = sampling(seed=3)(logits)
    shares = torch.bincount(drawn, minlength=4) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.6, 0.0, 0.3, 0.1]), atol=0.03, rtol=0)
    assert torch.equal(drawn, sampling(seed=3)(logits))
    assert not torch.equal(drawn, sampling(seed=4)(logits))
