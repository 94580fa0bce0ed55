import json

import numpy as np
import pytest

from probe.analysis.decoding import Controls, decode
from probe.errors import NotDecodableError
from probe.prompt import KVPrefix, SoftPrompt


@pytest.fixture
def vocabulary(rng, make_vocabulary):
    return make_vocabulary(rng.standard_normal((200, 8)).astype(np.float32), special=[0])


def test_token_rows_decode_to_their_own_tokens(vocabulary):
    prompt = SoftPrompt("p", vocabulary.rows([5, 7, 5]), init_token_ids=(5, 9, 5))
    for metric in ("cosine", "l2"):
        decoding = decode(prompt, vocabulary, metric=metric, k=3)
        assert decoding.text == "word5 word7 word5"
        assert [p.neighbours[0].id for p in decoding.positions] == [5, 7, 5]
        assert decoding.never_left_start == (2, 3)
        assert decoding.count("never left its start") == 2
        assert decoding.count("not better than chance") == 0


def test_scores_are_listed_best_first(vocabulary, rng):
    prompt = SoftPrompt("p", rng.standard_normal((4, 8)))
    for metric, sign in (("l2", 1), ("cosine", -1), ("dot", -1)):
        for position in decode(prompt, vocabulary, metric=metric, k=6).positions:
            scores = [sign * n.score for n in position.neighbours]
            assert scores == sorted(scores)
            assert len(scores) == 6


def test_the_start_is_judged_against_all_tokens_whatever_the_filter(vocabulary):
    prompt = SoftPrompt("p", vocabulary.rows([0]), init_token_ids=(0,))
    decoding = decode(prompt, vocabulary, filters=["special"])
    assert decoding.never_left_start == (1, 1)
    assert all(n.id != 0 for n in decoding.positions[0].neighbours)


def test_whether_a_position_is_still_at_its_start_does_not_depend_on_the_metric(vocabulary):
    rows = vocabulary.rows([5, 7, 9])
    rows[0] *= 0.1  # near to short tokens by l2, and to long ones by dot
    prompt = SoftPrompt("p", rows, init_token_ids=(5, 7, 8))
    found = [decode(prompt, vocabulary, metric=metric) for metric in ("cosine", "l2", "dot")]
    assert {one.positions[0].neighbours[0].id == 5 for one in found} == {True, False}
    assert [one.never_left_start for one in found] == [(2, 3)] * 3
    assert [one.count("never left its start") for one in found] == [2] * 3
    assert {one.start_sentence for one in found} == {
        "At 2 of 3 positions the nearest token is still its initial token (by cosine)."
    }


def test_a_start_whose_direction_other_tokens_share_is_not_left(make_vocabulary, rng):
    rows = rng.standard_normal((50, 8)).astype(np.float32)
    rows[3] = 2 * rows[40]
    prompt = SoftPrompt("p", rows[[40, 41]], init_token_ids=(40, 41))
    assert decode(prompt, make_vocabulary(rows)).never_left_start == (2, 2)


def test_a_start_that_the_vocabulary_does_not_have_is_unknown(vocabulary):
    prompt = SoftPrompt("p", vocabulary.rows([5]), init_token_ids=(200,))
    assert decode(prompt, vocabulary).never_left_start is None


def test_an_unknown_start_is_not_guessed(vocabulary, rng):
    assert decode(SoftPrompt("p", rng.standard_normal((2, 8))), vocabulary).never_left_start is None


def test_one_to_one_uses_each_token_once(vocabulary):
    prompt = SoftPrompt("p", vocabulary.rows([5, 5, 5]))
    decoding = decode(prompt, vocabulary, one_to_one=True)
    ids = [n.id for p in decoding.positions for n in p.neighbours]
    assert len(ids) == len(set(ids)) == 3


@pytest.mark.parametrize("controls", [Controls(), Controls(computed=False)])
def test_an_unknown_metric_is_refused_by_name(vocabulary, controls):
    prompt = SoftPrompt("p", vocabulary.rows([5]))
    with pytest.raises(ValueError, match="metric must be one of l2, cosine, dot, found 'near'"):
        decode(prompt, vocabulary, metric="near", controls=controls)


def test_controls_can_be_left_out(vocabulary, rng):
    decoding = decode(
        SoftPrompt("p", rng.standard_normal((2, 8))), vocabulary, controls=Controls(computed=False)
    )
    assert decoding.reference is None
    assert decoding.sample_size == 0
    assert all(p.controls is None for p in decoding.positions)
    assert decoding.to_json()["positions"][0]["controls"] is None


def test_the_reference_is_computed_once_per_table_metric_filter_and_seed(vocabulary, rng):
    kept, computed = {}, []

    def cached(key, compute, fits):
        if key not in kept:
            computed.append(key)
            kept[key] = compute()
            assert fits(kept[key])
            without = {name: array for name, array in kept[key].items() if name != "norms"}
            assert not fits(without)
            assert not fits({**without, "norms": kept[key]["norms"][1:]})
            assert not fits({**without, "norms": kept[key]["norms"] * np.nan})
        return kept[key]

    prompts = [SoftPrompt(name, rng.standard_normal((2, 8))) for name in "ab"]
    first = decode(prompts[0], vocabulary, controls=Controls(cached=cached))
    again = decode(prompts[0], vocabulary, controls=Controls(cached=cached))
    decode(prompts[1], vocabulary, controls=Controls(cached=cached))
    assert len(computed) == 1
    assert first.to_json() == again.to_json()
    decode(prompts[0], vocabulary, controls=Controls(cached=cached), metric="l2")
    decode(prompts[0], vocabulary, controls=Controls(seed=1, cached=cached))
    decode(prompts[0], vocabulary, controls=Controls(cached=cached), filters=["special"])
    assert len(set(computed)) == 4


def test_json_and_frame_hold_the_same_numbers(vocabulary, rng):
    decoding = decode(
        SoftPrompt("p", rng.standard_normal((3, 8))), vocabulary, k=2, controls=Controls(seed=4)
    )
    document = json.loads(json.dumps(decoding.to_json()))
    frame = decoding.to_frame()
    assert len(frame) == 6
    assert document["seed"] == 4
    assert document["sample_size"] == 1000
    listed = [n["score"] for p in document["positions"] for n in p["neighbours"]]
    assert frame["score"].tolist() == listed
    assert frame["chance"][0] == document["positions"][0]["controls"]["chance"]


def test_notebooks_show_tokens_as_text(make_vocabulary):
    vocabulary = make_vocabulary(
        np.eye(3, dtype=np.float32), words=["<script>alert(1)</script>", "b", "c"]
    )
    html = decode(SoftPrompt("p", np.eye(3)), vocabulary)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_prefixes_and_other_widths_are_refused(vocabulary):
    prefix = KVPrefix("kv", np.ones((1, 2, 3, 4)), np.ones((1, 2, 3, 4)))
    with pytest.raises(NotDecodableError, match="kv is a key/value prefix"):
        decode(prefix, vocabulary)
    with pytest.raises(NotDecodableError, match="has width 5, but the table of toy has width 8"):
        decode(SoftPrompt("p", np.ones((2, 5))), vocabulary)
