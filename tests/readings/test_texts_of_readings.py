"""Readings that are texts: what the model says of itself, and what mixtures narrowed to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from probe.models import load_model
from probe.prompt import SoftPrompt
from probe.readings.ask import ask
from probe.tables import load_vocabulary
from probe.verbs.reading import read
from tests.tiny import save_causal, save_masked


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return load_model(str(save_causal(tmp_path_factory.mktemp("tiny"))))


def test_rows_that_are_a_text_are_answered_as_the_text_is(causal):
    ids = causal.tokenizer("kind warm", add_special_tokens=False)["input_ids"]
    rows = causal.embeddings_of(slice(None)).detach().numpy()[ids]
    asked = ["the film was", "so quite"]
    own = ask(causal, SoftPrompt("own", rows), "{prompt:2} {text}", asked, answer_tokens=6)
    same = SoftPrompt("other", rows[:1])
    text = ask(causal, same, "kind {prompt:1} {text}", asked, answer_tokens=6)
    alone = ask(causal, same, "{prompt:1} kind warm {text}", asked, answer_tokens=6)
    assert [one.question for one in own] == asked
    assert [one.answer for one in own] == [one.without for one in alone]
    assert [one.without for one in own] != [one.answer for one in own] or text != own


def test_every_question_is_answered_with_the_prompt_and_without_it(causal):
    rows = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    document = read(SoftPrompt("own", rows, causal.name), readings="ask")
    (found,) = document.readings
    assert len(found.answers) == 4 and found.prose and found.p is None
    assert found.text == " / ".join(one.answer for one in found.answers)
    assert document.answer.startswith("Read as ask: ")


def test_models_that_write_no_text_are_not_asked(tmp_path):
    model = str(save_masked(tmp_path / "bert"))
    prompt = SoftPrompt("p", np.ones((2, 16), np.float32), model)
    found = read(prompt, readings="nearest,ask").readings[1]
    assert "questions are put to a causal language model, found" in found.refused


def mixed(**config):
    vocabulary = load_vocabulary("builtin")
    ids = vocabulary.encode(" a great film")
    facts = {"mixture_token_ids": ids, "mixture_weights": [0.9] * len(ids)} | config
    return SoftPrompt("mixed", vocabulary.rows(ids), "builtin", config=facts)


@pytest.mark.slow
def test_a_mixture_is_the_text_its_file_names_with_the_weights():
    (found,) = read(mixed(), readings="mixture").readings
    assert found.text == " a great film" and found.prose
    assert [one.score for one in found.tokens] == [0.9] * len(found.tokens)
    assert [row.position for row in found.rows] == list(range(len(found.tokens)))


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"mixture_token_ids": None}, "were not trained as mixtures"),
        ({"mixture_token_ids": [1]}, "a token and a weight of each of"),
        ({"mixture_weights": "much"}, "a token and a weight of each of"),
        ({"mixture_token_ids": [10**6] * 3}, "tokens that builtin does not have"),
    ],
)
@pytest.mark.slow
def test_a_file_that_tells_no_mixture_of_its_rows_is_refused_in_one_line(config, why):
    prompt = mixed(**config)
    if len(config.get("mixture_token_ids") or []) == 3:
        many = dataclasses.replace(prompt, embeddings=prompt.embeddings[:3])
        prompt = dataclasses.replace(many, config={**config, "mixture_weights": [0.5] * 3})
    found = read(prompt, readings="nearest,mixture").readings[1]
    assert why in found.refused and "\n" not in found.refused
