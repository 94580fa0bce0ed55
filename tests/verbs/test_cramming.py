"""Texts in rows: a tiny model writes what its rows were trained to hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator

from probe.errors import DataError, ProbeError
from probe.models import load_model
from probe.requests import RequestError
from probe.store import Workspace
from probe.training.cramming import Predicted, bare_row, crammed_row, predicted
from probe.verbs.cramming import cram
from tests.models.conftest import raw_model, word_tokenizer
from tests.tiny import save_masked

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "cram.json"
TEXTS = ("the film was very good", "a great book and a dull film .")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama whose weights are large enough for rows to matter."""
    folder = tmp_path_factory.mktemp("tiny")
    raw_model("llama").save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def found(folder, tmp_path_factory):
    home = Workspace(tmp_path_factory.mktemp("home"))
    return home, cram(
        TEXTS, folder, rows=4, name="held", steps=200, lr=0.1, dtype="float32", workspace=home
    )


def test_a_few_rows_each_hold_two_texts_of_a_tiny_model_exactly(found):
    home, result = found
    assert [one.longest for one in result.texts] == [5, 8]
    assert [one.greedy for one in result.texts] == [5, 8]
    assert [one.beginning for one in result.texts] == list(TEXTS)
    assert all(one.stopped == "held whole" and one.prompt for one in result.texts)
    kept = home.get(result.texts[0].prompt)
    assert kept.embeddings.shape == (4, 32) and kept.config["crammed"] == TEXTS[0]
    assert kept.metrics["tokens_held"] == 5
    document = json.loads(json.dumps(result.to_json()))
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
    assert "hold" in result.headline()[0] and "5, 8 tokens" in result.headline()[1]
    assert len(result.figures()) == 2 and len(result.to_frame()) == 2


def test_tokens_and_nats_gained_are_those_of_transformers_own_logits(found, folder):
    home, result = found
    model, one = load_model(folder), result.texts[0]
    ids = torch.tensor(model.tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"])
    row = torch.from_numpy(home.get(one.prompt).embeddings.copy())
    start = model.embed_ids(torch.tensor([model.tokenizer.bos_token_id]))
    raw = raw_model("llama")

    def nats(before):
        given = torch.cat([before, model.embed_ids(ids[:-1])])[None]
        with torch.no_grad():
            logits = raw(inputs_embeds=given).logits[0, -5:]
        return -logits.log_softmax(-1)[range(5), ids], (logits.argmax(-1) == ids).sum()

    with_row, right = nats(row)
    without, bare = nats(start)
    assert one.right == int(right) == 5
    assert one.nats == pytest.approx(float(with_row.sum()), abs=1e-3)
    assert one.information_gain_nats == pytest.approx(one.nats_without - one.nats)
    assert one.nats_without == pytest.approx(float(without.sum()), abs=1e-3)
    assert one.tokens_gained == 5 - int(bare)


def test_a_beginning_is_held_up_to_the_last_token_with_enough_right_ones_before_it():
    right = np.array([True, True, False, True, True, False])
    found = Predicted(right, np.zeros(6))
    assert found.longest(1.0) == 2
    assert found.longest(0.8) == 5
    assert found.longest(0.1) == 6
    assert Predicted(~right, np.zeros(6)).longest(1.0) == 0


def test_texts_share_a_pass_as_if_each_were_alone(folder):
    model = load_model(folder)
    rows = list(np.random.default_rng(0).normal(size=(2, 2, 32)).astype(np.float32))
    texts = [[5, 6, 7], [8, 9, 10, 11]]
    together = predicted(model, rows, [crammed_row(ids, 2) for ids in texts])
    for row, ids, one in zip(rows, texts, together, strict=True):
        (alone,) = predicted(model, [row], [crammed_row(ids, 2)])
        np.testing.assert_allclose(one.nats, alone.nats, atol=1e-5)
    (bare,) = predicted(model, None, [bare_row(model, texts[0])])
    assert len(bare.nats) == 3


def test_files_are_texts_and_what_cannot_be_crammed_is_refused(folder, tmp_path):
    (tmp_path / "a.txt").write_text("the film was\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    home = Workspace(tmp_path / "home")
    short = {"steps": 5, "tokens": 2, "workspace": home}
    result = cram(str(tmp_path / "a.txt"), folder, **short)
    assert result.texts[0].tokens == 2 and result.texts[0].prompt is None
    with pytest.raises(DataError, match="expected a text file"):
        cram(str(tmp_path / "b.txt"), folder, **short)
    with pytest.raises(DataError, match="found an empty one"):
        cram("  ", folder, **short)
    with pytest.raises(RequestError, match="share above 0 and at most 1, found 1.5"):
        cram("a film", folder, accuracy=1.5)
    with pytest.raises(ProbeError, match="is an encoder, which writes no text"):
        cram("a film", str(save_masked(tmp_path / "bert")), **short)
    assert list(home.list()) == []
