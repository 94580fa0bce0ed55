"""One text under several prompts: the same numbers as `predict` and `generate`, and zero-shot."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from probe import verbs
from probe.errors import ProbeError
from probe.models import load_model
from probe.prompt import SoftPrompt
from probe.store import Workspace
from probe.verbs.prompts import load_prompts
from probe.verbs.try_prompt import try_on

TEXT = "the film was warm"


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def _prompt(model, name="mine", *, seed=0, **config):
    width = load_model(model).width
    rows = np.random.default_rng(seed).standard_normal((3, width))
    return SoftPrompt(name, rows, base_model=model, config=config)


def _try_on(workspace, text, prompts, *, model=None, **how):
    return try_on(text, load_prompts(prompts, model=model, workspace=workspace), **how)


WORDS = {"template": "{text} it was", "label_words": ["no", "yes"]}


def test_probabilities_are_those_of_predict_and_the_model_alone_has_its_own(model, workspace):
    prompts = [_prompt(model, "one", **WORDS), _prompt(model, "two", seed=1, **WORDS)]
    tried = _try_on(workspace, TEXT, prompts)
    predicted = verbs.predict(prompts, [TEXT], workspace=workspace).predictions
    for answer, one in zip(tried.answers, predicted, strict=True):
        assert answer.prompt == one.prompt
        assert answer.probabilities == pytest.approx(one.probabilities, abs=1e-6)
        assert answer.label == one.label
        assert sum(answer.alone.values()) == pytest.approx(1)
        assert answer.alone != answer.probabilities
    assert tried.answers[0].alone == pytest.approx(tried.answers[1].alone)


def test_zero_shot_is_what_the_model_says_to_the_bare_template(model, workspace):
    import torch

    (answer,) = _try_on(workspace, TEXT, [_prompt(model, **WORDS)]).answers
    opened = load_model(model)
    ids = opened.tokenizer("the film was warm it was", return_tensors="pt").input_ids
    labels = [opened.tokenizer(word).input_ids[0] for word in ("no", "yes")]
    with torch.no_grad():
        logits = opened.model(input_ids=ids).logits[0, -1, labels]
    assert list(answer.alone.values()) == pytest.approx(logits.softmax(0).tolist(), abs=1e-5)


def test_a_prompt_without_label_words_writes_on_with_and_without(model, workspace):
    prompt = _prompt(model)
    (answer,) = _try_on(workspace, TEXT, [prompt], max_new_tokens=4).answers
    (written,) = verbs.generate(
        [prompt], [TEXT], max_new_tokens=4, workspace=workspace
    ).continuations
    assert answer.output == written.output
    assert (answer.label, answer.probabilities) == (None, {})
    frame = _try_on(workspace, TEXT, [prompt], max_new_tokens=4).to_frame()
    assert list(frame["zero_shot"]) == [answer.output_alone]


def test_words_of_one_s_own_win_over_the_prompt_s(model, workspace):
    prompt = _prompt(model, **WORDS)
    (answer,) = _try_on(
        workspace, TEXT, [prompt], template="{text} so", label_words=["film", "day", "song"]
    ).answers
    assert answer.label_words == ("film", "day", "song")
    assert answer.template == "{text} so"


def test_a_sample_is_asked_in_the_words_of_the_manifest(workspace):
    (answer,) = _try_on(workspace, "a moving film", ["sst2-text"]).answers
    assert set(answer.probabilities) == set(answer.label_words)
    assert len(answer.label_words) == 2


def test_each_model_is_opened_once(model, workspace):
    opened = []

    def open_model(name, revision):
        opened.append(name)
        return load_model(name)

    prompts = [_prompt(model, name, **WORDS) for name in ("one", "two")]
    tried = _try_on(workspace, TEXT, prompts, open_model=open_model)
    assert opened == [model]
    assert len(tried.to_frame()) == 4
    assert [one["prompt"] for one in tried.to_json()["answers"]] == ["one", "two"]


@pytest.mark.parametrize(("text", "count"), [("  ", 1), (TEXT, 0)])
def test_nothing_to_ask_is_one_clear_line(text, count, model, workspace):
    with pytest.raises(ProbeError, match="a text and one or more prompts"):
        _try_on(workspace, text, [_prompt(model)] * count)


def test_a_prompt_that_is_asked_on_another_model_is_noted(model, workspace):
    prompt = dataclasses.replace(_prompt(model, **WORDS), base_model="gpt2")
    (note,) = _try_on(workspace, TEXT, [prompt], model=model).notes
    assert "was trained on gpt2 and is asked on" in note
