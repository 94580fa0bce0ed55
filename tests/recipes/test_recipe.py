"""The recipe of the built-in model: from text to tokens to weights to bits per byte."""

import itertools
import json
import lzma
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recipes.builtin.data import (
    WINDOW,
    Windows,
    as_subjectivity,
    as_treebank,
    read_documents,
    rewritten,
    split_text,
    write_tokens,
)
from recipes.builtin.heldout import heldout
from recipes.builtin.model import new_model
from recipes.builtin.pretrain import Plan, Pretraining, rate_share
from recipes.builtin.tokenizer import train_tokenizer

STEPS = 40


@pytest.fixture(scope="module")
def documents():
    rng = np.random.default_rng(0)
    words = ["The", "river", "was", "cold", "and", "nobody", "swam,", "they", "said."]
    return [" ".join(rng.choice(words, 60)) for _ in range(80)]


@pytest.fixture(scope="module")
def tokenizer(documents):
    return train_tokenizer(documents, 300)


@pytest.fixture(scope="module")
def tokens(documents, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    write_tokens(documents, tokenizer, folder)
    return folder


def plan(tokens, out, **choices):
    defaults = {"size": "tiny", "steps": STEPS, "batch_size": 4, "checkpoint_every": 10}
    return Plan(tokens=tokens, out=out, **{**defaults, **choices})


@pytest.fixture(scope="module")
def trained(tokens, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    return out, list(Pretraining(plan(tokens, out)))


def test_documents_come_from_plain_and_packed_files_but_never_from_held_out_ones(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo \x1e lines\n\x1e\n  \n\x1e\nlast", encoding="utf-8")
    with lzma.open(tmp_path / "b.txt.xz", "wt", encoding="utf-8") as file:
        file.write("packed\n\x1e\n")
    (tmp_path / "heldout_c.txt").write_text("secret\n\x1e\n")
    found = list(read_documents([tmp_path]))
    assert found == ["one\n\ntwo \x1e lines", "last", "packed"]
    assert split_text((tmp_path / "a.txt").read_text(encoding="utf-8")) == found[:2]


def test_a_folder_without_text_is_refused(tmp_path):
    (tmp_path / "heldout_c.txt").write_text("secret")
    with pytest.raises(FileNotFoundError, match=r"holds no \.txt or \.txt\.xz to train on"):
        list(read_documents([tmp_path]))


def test_an_eighth_of_the_documents_is_rewritten_always_the_same_ones():
    plain = ["A Film."] * 8000
    once, again = list(rewritten(plain, seed=1)), list(rewritten(plain, seed=1))
    assert once == again != list(rewritten(plain, seed=2))
    assert sum(text != "A Film." for text in once) == pytest.approx(1000, abs=100)


def test_rewritten_text_looks_like_the_film_review_sentences():
    text = "It's a \"gem\" (almost), they said... Don't pay $3.50 -- or 1,000!\nTwo"
    assert as_subjectivity(text) == (
        "it's a \" gem \" ( almost ) , they said ... don't pay $3.50 -- or 1,000 !\ntwo"
    )
    assert as_treebank(text).startswith(
        "it 's a \" gem \" -lrb- almost -rrb- , they said ... do n't"
    )


def test_the_tokenizer_gives_back_every_byte(tokenizer):
    text = "Ünseen \x00 text, 東京\n  twice"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token_id == tokenizer.bos_token_id == tokenizer.pad_token_id == 0


def test_tokens_hold_every_document_behind_one_end_of_text(documents, tokenizer, tokens):
    stored = np.fromfile(tokens / "tokens.bin", np.uint16)
    parts = tokenizer.decode(stored).split(tokenizer.eos_token)
    assert parts == ["", *documents]


def test_a_pass_visits_every_window_once_and_the_next_one_cuts_elsewhere(tokens):
    stored = np.fromfile(tokens / "tokens.bin", np.uint16)
    windows = Windows(tokens, 2, seed=0)
    firsts = []
    for step in range(2 * windows.steps_per_pass):
        batch = windows.at(step)
        assert batch.shape == (2, WINDOW + 1)
        firsts += [_place(stored, row) for row in batch]
    one, two = np.split(np.array(firsts), 2)
    for part in (one, two):
        assert len(set(part)) == len(part) and len(set(part % WINDOW)) == 1
    assert one[0] % WINDOW != two[0] % WINDOW


def _place(stored, row):
    (place,) = [
        start
        for start in range(len(stored) - WINDOW)
        if stored[start] == row[0] and np.array_equal(stored[start : start + WINDOW + 1], row)
    ]
    return place


def test_too_little_text_for_a_batch_is_refused(tokens):
    with pytest.raises(ValueError, match="expected at least .* tokens for one batch"):
        Windows(tokens, 10_000, seed=0)


def test_rates_rise_stay_and_fall():
    found = [rate_share(progress, 0.1, 0.4) for progress in (0.0, 0.05, 0.1, 0.6, 0.8, 1.0, 1.1)]
    assert found == pytest.approx([0, 0.5, 1, 1, 0.5, 0, 0])


def test_the_full_size_keeps_to_its_limits(tokenizer):
    with torch.device("meta"):
        model = new_model("full", tokenizer)
    per_token = 320
    parameters = sum(p.numel() for p in model.parameters()) + per_token * (16_384 - len(tokenizer))
    assert 12_400_000 < parameters < 13_000_000
    shipped = Path(__file__).parents[2] / "probe" / "builtin" / "model.safetensors"
    assert shipped.stat().st_size < 26e6


def test_the_loss_falls_and_the_model_can_be_loaded(trained, tokenizer):
    out, records = trained
    assert [record.step for record in records] == list(range(1, STEPS + 1))
    assert records[0].loss_nats == pytest.approx(math.log(len(tokenizer)), abs=0.3)
    assert records[-1].loss_nats < 0.7 * records[0].loss_nats
    weights = load_file(out / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert json.loads((out / "config.json").read_text())["dtype"] == "float16"
    assert (out / "tokenizer.json").exists()


@pytest.mark.slow
def test_a_run_that_was_killed_ends_with_the_same_weights(trained, tokens, tmp_path):
    out, records = trained
    before = list(itertools.islice(Pretraining(plan(tokens, tmp_path)), 25))
    after = list(Pretraining(plan(tokens, tmp_path)))  # from the checkpoint of step 20
    assert (len(before), after[0].step) == (25, 21)
    assert [r.loss_nats for r in after] == [r.loss_nats for r in records[20:]]
    same = (tmp_path / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert same


def test_a_run_goes_on_with_its_own_plan_only(trained, tokens):
    with pytest.raises(ValueError, match="go on with the same plan"):
        Pretraining(plan(tokens, trained[0], seed=1))


def test_training_goes_on_from_existing_weights(trained, tokens, tmp_path):
    out, records = trained
    first = next(iter(Pretraining(plan(tokens, tmp_path, init=out))))
    assert first.loss_nats == pytest.approx(records[-1].loss_nats, abs=0.3)


def test_weights_of_another_vocabulary_are_refused(trained, documents, tmp_path):
    write_tokens(documents, train_tokenizer(documents, 280), tmp_path)
    with pytest.raises(ValueError, match="tokens were made with another tokenizer"):
        Pretraining(plan(tmp_path, tmp_path / "out", init=trained[0]))


def test_a_budget_of_minutes_ends_a_run_and_is_kept_over_pauses(tokens, tmp_path):
    limited = plan(tokens, tmp_path, steps=None, minutes=1000, checkpoint_every=1)
    first = next(iter(Pretraining(limited)))
    again = Pretraining(limited)
    assert again.progress == first.progress > 0
    again.elapsed_s = 60_000 - 1e-6
    (last,) = again
    assert (last.step, last.progress) == (2, pytest.approx(1, abs=0.01))
    assert (tmp_path / "model.safetensors").exists()


def test_a_plan_is_measured_in_steps_or_in_minutes(tokens, tmp_path):
    with pytest.raises(ValueError, match="either steps or minutes"):
        plan(tokens, tmp_path, minutes=1.0)


def test_a_uniform_model_costs_the_logarithm_of_its_vocabulary_per_token(tokenizer):
    model = new_model("tiny", tokenizer).eval()
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    documents = ["The river was cold. " * 150, "né ✓"]
    found = heldout(model, tokenizer, "\n\x1e\n".join(documents) + "\n\x1e\n")
    counted = sum(len(ids) for ids in tokenizer([d.strip() for d in documents])["input_ids"])
    assert counted > 2 * WINDOW
    assert (found.tokens, found.bytes) == (counted, 150 * 20 - 1 + len("né ✓".encode()))
    expected = math.log2(len(tokenizer)) * counted / found.bytes
    assert found.bits_per_byte == pytest.approx(expected, rel=1e-6)


def test_a_window_sees_nothing_of_the_one_before(tokenizer):
    torch.manual_seed(0)
    model = new_model("tiny", tokenizer).eval()
    same = "The river was cold"
    ids = tokenizer(same)["input_ids"]
    first = tokenizer.decode([ids[0]] * (WINDOW - 1) + [ids[-1]])
    other = tokenizer.decode([ids[1]] * (WINDOW - 1) + [ids[-1]])
    tail = tokenizer.decode(ids)
    difference = [
        heldout(model, tokenizer, t + tail).nats - heldout(model, tokenizer, t).nats
        for t in (first, other)
    ]
    assert difference[0] == pytest.approx(difference[1], rel=1e-4)
