"""What a prompt is compared with: the model alone, words, its nearest tokens."""

import dataclasses

import numpy as np
import pytest
import torch

from probe.errors import NotDecodableError
from probe.evaluation import Condition, answer, discretised, hard_prompt, zero_shot
from probe.models import prepare
from probe.prompt import KVPrefix, PromptPair, SoftPrompt
from probe.vocabulary import TokenMasks, Vocabulary


@pytest.fixture
def vocabulary(causal):
    """The tiny model's own."""
    table = next(causal.embed.parameters()).detach().numpy()
    none = np.zeros(len(table), dtype=bool)
    special = np.arange(len(table)) < 6
    masks = TokenMasks(special, none, none, none, none)
    tokens = tuple(causal.tokenizer.convert_ids_to_tokens(range(len(table))))
    return Vocabulary("tiny", tokens, table, "F32", masks)


@pytest.fixture
def condition(causal, task):
    """A prompt near the tokens w0, w1, w2 and w3."""
    ids = causal.tokenizer.convert_tokens_to_ids(["w0", "w1", "w2", "w3"])
    rows = causal.embed_ids(torch.tensor(ids)).numpy()
    return Condition(
        "mine", dataclasses.replace(task, train=()), SoftPrompt("mine", 1.7 * rows + 0.01)
    )


def test_hard_words_stand_in_front_of_the_template(condition):
    assert hard_prompt(condition, "Is it good?").task.template == "Is it good? {text} it was"
    assert hard_prompt(condition, "Is it good?\n").task.template == "Is it good?\n{text} it was"
    assert hard_prompt(condition, "Of {text} I say").task.template == "Of {text} I say"
    assert (
        hard_prompt(condition, "x").prompt is None
        and hard_prompt(condition, "x").kind == "hard_prompt"
    )


def test_a_hard_prompt_is_its_words_and_a_soft_prompt_of_their_rows_does_the_same(
    causal, condition, task
):
    """The model cannot tell words from rows that are their embeddings."""
    ids = causal.tokenizer("w0 w1")["input_ids"]
    rows = causal.embed_ids(torch.tensor(ids)).numpy()
    same = Condition("rows", condition.task, SoftPrompt("rows", rows))
    words, soft = answer(causal, [hard_prompt(condition, "w0 w1"), same], task.train[:6])
    np.testing.assert_allclose(words.scores, soft.scores, atol=2e-5)


def test_zero_shot_reads_the_same_words_without_the_prompt(causal, condition, task):
    alone = zero_shot(condition)
    assert alone.prompt is None and alone.wording == condition.wording
    row = prepare(causal, alone.task, task.train[:1])[0]
    assert causal.tokenizer.decode(row.prefix_ids) == f"{task.train[0].text} it was"


def test_a_condition_without_a_prompt_has_no_slots_left_and_still_compares_with_the_prompt(
    condition,
):
    template = "{prompt:2}{text} it was{prompt:2}"
    placed = dataclasses.replace(
        condition, task=dataclasses.replace(condition.task, template=template)
    )
    for other in (zero_shot(placed), hard_prompt(placed, "Well:"), zero_shot(zero_shot(placed))):
        assert "{prompt" not in other.task.template
        assert other.wording == placed.wording != condition.wording
    assert zero_shot(placed).task.template == "{text} it was"


def test_the_nearest_tokens_replace_the_rows_as_the_model_would_feed_them(
    causal, condition, vocabulary
):
    made = discretised(causal, condition, vocabulary, draws=2)
    assert [one.kind for one in made] == [
        "discretised",
        *["shuffled"] * 2,
        *["random_tokens"] * 2,
    ]
    assert {(one.name, one.wording) for one in made} == {("mine", condition.wording)}
    ids = causal.tokenizer.convert_tokens_to_ids(["w0", "w1", "w2", "w3"])
    np.testing.assert_allclose(
        made[0].prompt.embeddings, causal.embed_ids(torch.tensor(ids)).numpy(), rtol=1e-6
    )
    for shuffled in made[1:3]:
        assert sorted(shuffled.prompt.config["token_ids"]) == sorted(ids)
    for drawn in made[3:]:
        assert len(drawn.prompt) == 4 and min(drawn.prompt.config["token_ids"]) >= 6


def test_a_model_that_scales_its_embeddings_is_fed_scaled_tokens(causal, condition, vocabulary):
    """As Gemma does: the table's row alone would be another vector than the text's."""

    class Scaling(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, ids):
            return 5 * self.inner(ids)

    plain = causal.model.get_input_embeddings()
    causal.model.set_input_embeddings(Scaling(plain))
    try:
        made = discretised(causal, condition, vocabulary, draws=1)[0].prompt
        np.testing.assert_allclose(
            made.embeddings, 5 * vocabulary.rows(made.config["token_ids"]), rtol=1e-6
        )
    finally:
        causal.model.set_input_embeddings(plain)


def test_controls_are_drawn_by_the_seed(causal, condition, vocabulary):
    def ids(seed):
        made = discretised(causal, condition, vocabulary, seed=seed)
        return [one.prompt.config["token_ids"] for one in made]

    assert ids(0) == ids(0) != ids(1)


def test_what_has_no_nearest_tokens_is_refused(causal, condition, vocabulary):
    prefix = KVPrefix("prefix", *np.ones((2, 2, 2, 3, 4)))
    with pytest.raises(NotDecodableError, match="key/value prefix"):
        discretised(causal, dataclasses.replace(condition, prompt=prefix), vocabulary)
    halves = [SoftPrompt(s, np.ones((2, 16)), submodule=s) for s in ("encoder", "decoder")]
    with pytest.raises(NotDecodableError, match="halves one by one"):
        discretised(causal, dataclasses.replace(condition, prompt=PromptPair(*halves)), vocabulary)


def test_a_pair_keeps_room_for_its_longer_half():
    encoder = SoftPrompt("e", np.ones((2, 4)), submodule="encoder")
    decoder = SoftPrompt("d", np.ones((5, 4)), submodule="decoder")
    assert Condition("pair", None, PromptPair(encoder, decoder)).length == 5
