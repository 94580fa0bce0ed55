"""Readings through the model: its gradient at the start, its layers, and patched states."""

from __future__ import annotations

import numpy as np
import pytest

from probe.distillation import distillation_tasks, frame_of
from probe.distillation.explained import row_divergences, taught_rows
from probe.models import load_model
from probe.prompt import SoftPrompt
from probe.readings import READINGS
from probe.readings.gradient import downhill
from probe.verbs.reading import read
from tests.tiny import save_causal, save_masked

TEXT = "kind warm"


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return load_model(str(save_causal(tmp_path_factory.mktemp("tiny"))))


def begun(model, *, by=0.3, **config):
    """A prompt that started at two tokens and moved a little."""
    ids = (5, 9)
    start = model.embeddings_of(slice(None)).detach().numpy()[list(ids)]
    away = np.random.default_rng(0).standard_normal(start.shape).astype(np.float32)
    training = {"objective": "distill", "teacher": TEXT}
    rows = start + by * np.linalg.norm(start) * away
    facts = {"training": training, **config}
    return SoftPrompt("begun", rows, model.name, init_token_ids=ids, config=facts)


def test_a_small_step_along_it_lowers_the_loss_as_much_as_it_says(causal):
    frame = frame_of(causal)
    contexts = ["the film was", "so quite", "very cold soup"]
    (task,) = distillation_tasks(
        causal, [TEXT], frame, length=2, contexts=contexts, answer_tokens=5
    )
    rows = taught_rows(causal, task, TEXT, task.train)
    start = causal.embeddings_of(slice(None)).detach().numpy()[[5, 9]]
    down = downhill(causal, rows, start)
    assert down.shape == start.shape
    size = 1e-2 / np.linalg.norm(down)
    losses = [
        row_divergences(causal, rows, SoftPrompt("p", start + sign * size * down)).mean()
        for sign in (-1, 1)
    ]
    assert losses[0] - losses[1] == pytest.approx(2 * size * (down**2).sum(), rel=0.05)


@pytest.mark.slow
def test_every_reading_of_a_distilled_prompt_is_there_or_says_why_not(causal):
    found = read(begun(causal), readings="all")
    by_name = {one.name: one for one in found.readings}
    assert list(by_name) == list(READINGS)
    gradient = by_name["gradient"]
    assert gradient.start == "recorded" and gradient.rows and -1 <= gradient.agreement <= 1
    assert by_name["lens"].tokens and "random rows" in by_name["lens"].control
    scores = [one.score for one in by_name["lens"].tokens]
    assert scores == sorted(scores, reverse=True) and 0 < scores[0] <= 1
    assert "no label words" in by_name["patching"].refused
    assert "not trained as mixtures" in by_name["mixture"].refused


def test_the_gradient_needs_a_text_that_was_distilled(causal):
    prompt = begun(causal, training={"objective": "full"})
    found = read(prompt, readings="nearest,gradient").readings[1]
    assert "names no text that it was distilled from" in found.refused


def test_patching_is_judged_by_the_label_words_the_file_tells(causal):
    (found,) = read(begun(causal, label_words=["w3", "w5"]), readings="patching").readings
    assert found.prose and 0.05 <= found.p <= 1 and "19 prompts" in found.control
    assert found.better_than_controls is (found.p <= 0.05)


def test_models_that_write_no_text_are_refused_in_a_line(tmp_path):
    model = str(save_masked(tmp_path / "bert"))
    prompt = SoftPrompt("p", np.ones((2, 16), np.float32), model)
    found = read(prompt, readings="nearest,gradient,patching,lens").readings
    assert "the gradient needs a causal" in found[1].refused
    assert "patching needs a causal" in found[2].refused
    assert found[3].tokens
