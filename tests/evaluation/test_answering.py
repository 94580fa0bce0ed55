"""Many conditions and examples in one batch answer as each would alone."""

import dataclasses

import numpy as np
import pytest
import torch

from probe.errors import DataError
from probe.evaluation import Condition, answer, generate, label_scores, probabilities, zero_shot
from probe.evaluation.answering import _BATCH
from probe.models import prepare
from probe.prompt import KVPrefix, SoftPrompt
from probe.task import Example, Task

RNG = np.random.default_rng(0)
WORDS = ("very bright", "no", "so very dull")  # of two, one and three tokens


def soft(model, rows, seed=0):
    values = np.random.default_rng(seed).normal(size=(rows, model.width))
    return SoftPrompt(f"p{rows}", values.astype(np.float32))


def prefix(model, rows):
    layers, heads, head_dim = model.kv_shape
    return KVPrefix("prefix", *RNG.normal(size=(2, layers, heads, rows, head_dim)))


def three_labels(task):
    """The task with label words of several tokens, one of its labels never right."""
    return dataclasses.replace(task, label_words=WORDS, train=(), validation=(), test=())


def alone(model, condition, example):
    """One example under one condition, by the model itself."""
    row = prepare(model, condition.task, [example], prompt_length=condition.length)
    injection = model.injection_of([condition.prompt])
    with torch.no_grad():
        scores = model.label_scores(injection, row)[0].double().numpy()
        return scores, float(model.losses(injection, row)[0])


@pytest.mark.parametrize("family", ["causal", "masked", "encoder_decoder"])
def test_mixed_batches_score_as_one_by_one(family, task, request, monkeypatch):
    monkeypatch.setitem(_BATCH, "cpu", 5)
    model = request.getfixturevalue(family)
    words = three_labels(task)
    conditions = [Condition(f"p{rows}", words, soft(model, rows)) for rows in (1, 4)]
    conditions.insert(1, zero_shot(conditions[0]))
    if model.kv_shape is not None:
        conditions.append(Condition("prefix", words, prefix(model, 3)))
    examples = task.train[:9]
    found = answer(model, conditions, examples)
    assert [one.condition for one in found] == conditions
    for one in found:
        for example, scores, loss in zip(examples, one.scores, one.losses_nats, strict=True):
            expected, expected_loss = alone(model, one.condition, example)
            np.testing.assert_allclose(scores, expected, atol=2e-5)
            assert loss == pytest.approx(expected_loss, abs=2e-5)
        np.testing.assert_array_equal(one.predicted, one.scores.argmax(1))
    assert not np.allclose(found[0].scores, found[1].scores, atol=1e-3)


def test_a_sentence_encoder_compares_whole_labels_so_their_tokens_do_not_count(masked, task):
    from probe.models.sentence_encoder import SentenceEncoder

    encoder = SentenceEncoder("tiny", masked.model.base_model, masked.tokenizer)
    condition = Condition("p", three_labels(task), soft(encoder, 3))
    examples = task.train[:6]
    found = answer(encoder, [condition], examples)[0]
    for example, loss in zip(examples, found.losses_nats, strict=True):
        assert loss == pytest.approx(alone(encoder, condition, example)[1], abs=2e-5)
    np.testing.assert_allclose(np.exp(found.scores).sum(1), 1, rtol=1e-5)


def test_a_prompt_inside_the_template_is_read_where_it_stands(causal, task):
    words = dataclasses.replace(task, template="{prompt:2}{text} it was{prompt:1}", train=())
    condition = Condition("p3", dataclasses.replace(words, validation=()), soft(causal, 3))
    front = Condition("p3", three_labels(task), condition.prompt)
    placed, plain = answer(causal, [condition, front], task.train[:5])
    scores = [alone(causal, condition, example)[0] for example in task.train[:5]]
    np.testing.assert_allclose(placed.scores, scores, atol=2e-5)
    assert placed.scores.shape == (5, 2) and plain.scores.shape == (5, 3)


def test_texts_without_labels_are_scored_the_same(causal, task):
    condition = Condition("p", three_labels(task), soft(causal, 2))
    examples = task.train[:7]
    scores = label_scores(causal, [condition], [[example.text for example in examples]])[0]
    np.testing.assert_allclose(scores, answer(causal, [condition], examples)[0].scores, atol=1e-5)


def test_prompts_of_few_and_of_many_labels_share_batches(causal, task, monkeypatch):
    monkeypatch.setitem(_BATCH, "cpu", 3)
    many = Condition("many", three_labels(task), soft(causal, 2))
    few = Condition("few", dataclasses.replace(many.task, label_words=WORDS[:2]), many.prompt)
    texts = [[example.text for example in task.train[start : start + 5]] for start in (0, 5)]
    both = label_scores(causal, [few, many], texts)
    assert [one.shape for one in both] == [(5, 2), (5, 3)]
    np.testing.assert_allclose(both[0], label_scores(causal, [few], texts[:1])[0], atol=1e-5)


def test_probabilities_are_those_among_the_labels():
    scores = np.log([[0.1, 0.3], [1e-200, 1e-200]])
    assert probabilities(scores) == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))


def test_no_examples_is_one_clear_error(causal, task):
    with pytest.raises(DataError, match="no examples to answer"):
        answer(causal, [Condition("p", three_labels(task))], [])


def oracle(model, condition, text, most):
    """Greedy continuation without cache, padding or batch: the whole row again for every token."""
    writing = Task("w", "generation", condition.task.template)
    ids = list(prepare(model, writing, [Example(text)])[0].prefix_ids)
    rows = (
        torch.zeros(0, model.width)
        if condition.prompt is None
        else torch.tensor(condition.prompt.embeddings)
    )
    written = []
    with torch.no_grad():
        while len(written) < most:
            embeddings = torch.cat([rows, model.embed_ids(torch.tensor(ids + written))])
            token = int(model.model(inputs_embeds=embeddings[None]).logits[0, -1].argmax())
            if token in model.stops:
                break
            written.append(token)
    return model.tokenizer.decode(written, skip_special_tokens=True)


def test_mixed_prompts_write_what_each_would_write_alone(causal, task, monkeypatch):
    monkeypatch.setitem(_BATCH, "cpu", 4)
    conditions = [Condition(f"p{rows}", task, soft(causal, rows, seed=rows)) for rows in (2, 5)]
    conditions.append(zero_shot(conditions[0]))
    texts = [example.text for example in task.train[:6]]
    found = generate(causal, conditions, [texts] * len(conditions), max_new_tokens=7)
    for condition, own in zip(conditions, found, strict=True):
        assert own == [oracle(causal, condition, text, 7) for text in texts]
    assert found[0] != found[2]  # the prompt is never silently ignored


def test_a_prefix_changes_what_is_written(causal, task):
    texts = [example.text for example in task.train[:6]]
    conditions = [Condition("prefix", task, prefix(causal, 4)), Condition("none", task)]
    read, ignored = generate(causal, conditions, [texts] * len(conditions), max_new_tokens=6)
    assert read != ignored


def test_generation_tasks_are_answered_with_texts_and_losses(causal):
    task = Task("g", "generation", "{text} it was", metric="rouge_l")
    examples = [Example("the film", target="very sweet"), Example("a soup was", target="cold")]
    condition = Condition("p", task, soft(causal, 2))
    found = answer(causal, [condition, zero_shot(condition)], examples)
    rows = prepare(causal, task, examples, prompt_length=2)
    with torch.no_grad():
        losses = causal.losses(causal.injection_of([condition.prompt]), rows)
    np.testing.assert_allclose(found[0].losses_nats, losses.double(), atol=2e-5)
    assert found[0].predicted is None
    longest = max(len(row.options[0]) for row in rows)  # as far as it texts are written
    assert list(found[0].texts) == [oracle(causal, condition, e.text, longest) for e in examples]
