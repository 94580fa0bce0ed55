"""Readings of prompts: what they name, where they say prompts began, and when they are sure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import probe
from probe.analysis.displacement import StartRows, best_cosines, displacement
from probe.distillation import distillation_config
from probe.errors import NotDecodableError, ProbeError
from probe.linalg import unit_rows
from probe.prompt import KVPrefix, SoftPrompt
from probe.readings import Subject, hit_rate, rates_on, read_all
from probe.readings.controls import TRAINING, p_value, trained_as_controls
from probe.readings.controls import measured as controls
from probe.readings.hit_rates import measured as rates
from probe.readings.hit_rates import start_kind
from probe.readings.plug_in import Effect, score_texts
from probe.tables import load_vocabulary
from probe.tables.named import smollm2_file
from probe.verbs.reading import read
from tests.tiny import save_causal, save_masked

needs_wheel = pytest.mark.skipif(smollm2_file() is None, reason="smollm2 is not installed")


@pytest.fixture(scope="module")
def builtin():
    return load_vocabulary("builtin")


def moved(vocabulary, token, *, rows=8, by=1.2, noise=0.5, seed=0, recorded=True):
    """Rows that started at random words and moved along a token's direction, each with noise."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.flatnonzero(vocabulary.masks.word_start), rows, replace=False)
    start = vocabulary.rows(ids)
    length = np.linalg.norm(start, axis=1, keepdims=True)
    along = unit_rows(vocabulary.rows([token])).astype(np.float32)
    away = unit_rows(rng.standard_normal(start.shape)).astype(np.float32)
    shifted = start + by * length * (0.5 * along + noise * away)
    known = tuple(map(int, ids)) if recorded else None
    return SoftPrompt("moved", shifted, vocabulary.name, init_token_ids=known)


def named(found, name):
    return next(one for one in found.readings if one.name == name)


@pytest.mark.slow
def test_displacement_names_the_token_that_all_rows_moved_to_and_nearest_the_start(builtin):
    token = builtin.encode(" great")[0]
    found = read(moved(builtin, token))
    assert named(found, "displacement").tokens[0].id == token
    assert named(found, "displacement").p <= 0.05
    assert named(found, "displacement").start == "recorded"
    assert named(found, "displacement").rows[0].tokens
    assert token not in [one.id for one in named(found, "nearest").tokens[:8]]
    assert named(found, "nearest").better_than_controls is False
    assert found.answer.startswith("Its rows stand where they started; what they learned points to")


@pytest.mark.slow
def test_a_start_that_no_file_tells_is_inferred_and_said_to_be(builtin):
    token = builtin.encode(" great")[0]
    found = read(moved(builtin, token, recorded=False))
    assert named(found, "displacement").start == "inferred"
    assert named(found, "displacement").tokens[0].id == token
    assert named(found, "nearest").better_than_controls is None


@pytest.mark.slow
def test_rows_at_random_have_no_start_and_their_other_readings_are_given(builtin):
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((8, builtin.width)).astype(np.float32)
    found = read(SoftPrompt("noise", rows, "builtin"))
    assert "what training began from, and only" in named(found, "displacement").refused
    assert named(found, "displacement").tokens == ()
    assert named(found, "nearest").tokens and named(found, "nearest").refused is None
    assert found.answer.startswith("Its rows stand nearest to: ")


@pytest.mark.slow
def test_start_ids_of_another_vocabulary_are_not_believed(builtin):
    prompt = moved(builtin, builtin.encode(" great")[0])
    odd = dataclasses.replace(prompt, init_token_ids=(10**6,) * len(prompt))
    assert named(read(odd), "displacement").start == "inferred"


@pytest.mark.slow
def test_rows_that_disagree_are_no_better_than_with_random_signs(builtin):
    rng = np.random.default_rng(2)
    start = builtin.rows(np.arange(300, 308))
    ids = tuple(range(300, 308))
    small = 0
    for _ in range(40):
        noise = rng.standard_normal(start.shape).astype(np.float32)
        began = StartRows(start, np.arange(8), ids, "recorded")
        prompt = SoftPrompt("noise", start + noise)
        small += displacement(prompt, builtin, began, k=1, seed=small).sign_flip_p <= 0.05
    assert small <= 6  # of 40 at a level of 0.05: more have probability 0.003


@pytest.mark.parametrize("rows", [1, 4])
def test_few_rows_have_no_control(builtin, rows):
    found = read(moved(builtin, builtin.encode(" great")[0], rows=rows), readings="displacement")
    assert named(found, "displacement").better_than_controls is None
    assert "no control tells" in found.answer


def test_sizes_are_judged_only_of_prompts_trained_as_the_controls_were():
    recipe = {"objective": "distill", "steps": 60, "learning_rate": 0.02, "seed": [1]}
    told = [recipe, recipe | {"steps": 600}, recipe | {"objective": "full"}, {}, None]
    found = [trained_as_controls(SoftPrompt("p", np.ones((2, 4)), config={"training": one}))
             for one in told]  # fmt: skip
    assert found == [True, False, False, False, False]
    assert distillation_config("x", 8, seed=0).to_dict().items() >= TRAINING.items()


def test_a_prompt_that_never_moved_says_so(builtin):
    ids = tuple(range(300, 308))
    found = read(SoftPrompt("still", builtin.rows(np.array(ids)), "builtin", init_token_ids=ids))
    assert named(found, "displacement").refused == "still: no row has moved from its start"


def test_best_cosines_are_those_of_the_nearest_allowed_token(builtin):
    queries = np.random.default_rng(0).standard_normal((3, builtin.width)).astype(np.float32)
    allowed = builtin.masks.word_start
    units = unit_rows(queries) @ unit_rows(builtin.rows(slice(None))[allowed]).T
    np.testing.assert_allclose(
        best_cosines(queries, builtin.search_table, allowed), units.max(1), atol=1e-5
    )


def test_an_unknown_reading_is_refused_with_those_there_are(builtin):
    with pytest.raises(ValueError, match="nearest, displacement, .*patching, found 'lense'"):
        read(moved(builtin, 300), readings="nearest,lense")


def test_a_key_value_prefix_has_none_of_the_readings_of_rows(builtin):
    arrays = np.zeros((2, 2, 4, 8), np.float32)
    with pytest.raises(ProbeError, match="has no nearest|no nearest vocabulary tokens"):
        read_all(Subject(KVPrefix("kv", arrays, arrays), builtin), ["nearest", "displacement"])


def test_controls_trained_on_nothing_are_called_better_at_the_nominal_rate():
    """Each seed's 64 controls are judged by the other seed's."""
    for values in controls()["statistics"].values():
        first, second = np.array(values[:64]), np.array(values[64:])
        ps = [p_value(x, second) for x in first] + [p_value(x, first) for x in second]
        assert np.mean(np.array(ps) <= 0.05) <= 0.10  # 0.05 and 2.6 deviations of 128 prompts
    left_out = np.array(controls()["statistics"]["displacement"])
    ps = [p_value(x, np.delete(left_out, i)) for i, x in enumerate(left_out)]
    assert 0.02 <= np.mean(np.array(ps) <= 0.05) <= 0.08


def test_no_verdict_calls_prompts_trained_on_nothing_better_more_often_than_its_level():
    """Of 128 prompts; patching has none of them, and gradient no text that they were taught."""
    called = {
        one["reading"]: one["better_than_controls"]
        for one in rates()["rates"]
        if one["condition"] == "nothing" and one["better_than_controls"] is not None
    }
    assert set(called) == {"nearest", "displacement", "displacement_centred", "sparse", "promoted"}
    assert max(called.values()) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 128)


def test_controls_that_come_with_hit_rates_are_called_better_at_the_nominal_rate():
    for values in map(np.array, rates()["controls"].values()):
        ps = [p_value(x, np.delete(values, i)) for i, x in enumerate(values)]
        assert 0.02 <= np.mean(np.array(ps) <= 0.05) <= 0.08
    assert set(rates()["controls"]) == {"displacement_centred", "sparse"}


def test_random_signs_call_controls_better_no_more_often_than_they_say():
    ps = np.array(controls()["sign_flip_p"])
    assert len(ps) == 128
    assert (ps <= 0.05).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 128)


def test_hit_rates_are_only_told_of_the_table_they_were_counted_with(builtin, causal):
    assert [one["model"] for one in rates_on(builtin)] == ["builtin"]
    assert rates_on(load_vocabulary(causal.name)) == []
    assert rates()["table_sha256"] == controls()["table_sha256"]
    assert {one["reading"] for one in rates()["rates"]} >= {
        "nearest", "displacement", "displacement_centred", "sparse", "promoted", "gradient", "lens",
    }  # fmt: skip


def test_a_hit_rate_is_that_of_the_nearest_length_and_of_the_most_texts():
    def counted(condition, texts, value):
        top1 = {"value": value, "interval": [0.1, 0.9]}
        facts = {"condition": condition, "reading": "nearest", "scorer": "overlap"}
        return facts | {"texts": texts, "tried": texts, "prompts": 2 * texts, "top1": top1}

    def rate(length, *documents, start=None):
        told = [{"model": "m", "rates": list(rates)} for rates in documents]
        return hit_rate("nearest", length, told, start)

    shipped = [
        counted("base", 64, 0.5),
        counted("length_20", 64, 0.2),
        counted("start_text", 64, 0),
    ]
    assert rate(6, shipped).top1 == 0.5 and rate(16, shipped).top1 == 0.2
    assert rate(1, shipped) is None and rate(81, shipped) is None  # none like it was counted
    assert rate(8, shipped, [counted("base", 8, 1)]).top1 == 0.5
    assert rate(8, shipped, [counted("base", 64, 1)]).top1 == 1
    assert rate(8, [counted("base", 64, 0.5) | {"share_explained": "0.9 and more"}]) is None
    assert hit_rate("lens", 8, [{"model": "m", "rates": shipped}]) is None

    # Prompts that start alike come first, whatever their length and however few.
    assert rate(6, shipped, start="vocab").top1 == 0.5
    text = rate(20, shipped, start="text")
    assert text.condition == "start_text" and text.sentence.endswith("start at an unrelated text.")
    other = rate(20, shipped, start="labels")
    assert other.condition == "length_20" and "that start at random tokens" in other.sentence
    assert other.sentence.endswith("starts at label words; none such was counted.")
    long = [counted("length_20+start_text", 8, 1), counted("start_text+rate_0.1", 64, 0)]
    assert rate(20, long, start="text").top1 == 1 and rate(4, long, start="text") is None


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"training": {"init": "text:The office is closed."}}, "text"),
        ({"training": {"init": "vocab:5000"}}, "vocab"),
        ({"prompt_tuning_init": "TEXT"}, "text"),
        ({"prompt_tuning_init": "SAMPLE_VOCAB"}, "vocab"),
        ({"training": "?", "prompt_tuning_init": ["x"]}, None),
        ({}, None),
    ],
)
def test_a_prompt_s_file_says_what_kind_of_start_it_had(config, kind):
    assert start_kind(SoftPrompt("p", np.ones((2, 4)), config=config)) == kind


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    from probe.models import load_model

    return load_model(str(save_causal(tmp_path_factory.mktemp("tiny"))))


def test_a_prompt_s_own_text_has_all_of_its_effect_and_no_text_none(causal):
    ids = causal.tokenizer("kind warm", add_special_tokens=False)["input_ids"]
    rows = causal.embeddings_of(slice(None)).detach().numpy()[ids]
    own, other = score_texts(
        causal, SoftPrompt("own", rows), ["kind warm", "w3 w5"], template="{prompt:2}{text}",
        contexts=["the film was", "very cold soup", "so quite"], answer_tokens=6,
    )  # fmt: skip
    assert own.explained.share == pytest.approx(1, abs=1e-3)
    assert other.explained.share < 0.9
    assert own.explained.kl0_nats > 0
    nothing = Effect((), np.full(3, 1e-9), seed=0)
    with pytest.raises(NotDecodableError, match="answers by 1e-09 nats per token, too little"):
        nothing.score(causal, "kind")


def test_promoted_tokens_are_read_where_the_model_writes(causal):
    rows = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    prompt = SoftPrompt("own", rows, causal.name)
    (found,) = read(prompt, readings="promoted").readings
    assert len(found.tokens) == 20 and found.tokens[0].score > 0
    assert found.p is None and found.hit_rate is None
    assert len(found.suppressed) == 20 and found.suppressed[0].score < 0
    assert found.suppressed[0].score <= found.suppressed[1].score


def test_models_that_write_no_text_score_none(tmp_path):
    from probe.models import load_model

    model = load_model(str(save_masked(tmp_path / "bert")))
    with pytest.raises(NotDecodableError, match="scored on causal language models, found .*masked"):
        score_texts(model, SoftPrompt("p", np.ones((2, 16))), ["kind"])


@pytest.mark.slow
@needs_wheel
def test_on_smollm2_a_prompt_moved_to_french_reads_french_beside_prompts_trained_on_nothing():
    vocabulary = load_vocabulary("smollm2")
    token = vocabulary.encode(" French")[0]
    found = read(moved(vocabulary, token, by=1, noise=0.9, recorded=False))
    reading = named(found, "displacement")
    assert reading.tokens[0].token == "␣French"
    assert reading.p < 0.05 and reading.better_than_controls
    assert reading.start == "inferred" and "128 prompts" in reading.control
    assert reading.hit_rate.named == 51 and reading.hit_rate.texts == 64
    assert "French" in found.answer and probe.read is read
