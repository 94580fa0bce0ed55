"""Rows: templates, labels of several tokens, special tokens, prompt slots and truncation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tokenizers import Tokenizer, models, processors
from transformers import PreTrainedTokenizerFast

from probe.models import FrozenModel, Objective, Row, RowError, Slot, load_model, prepare
from probe.models.causal import CausalModel
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.models.masked import MaskedModel
from probe.models.rows import LabelPlace, special_ids
from probe.models.sentence_encoder import SentenceEncoder
from probe.notes import collected
from probe.task import Example, Task
from probe.template import require_room
from tests.models.conftest import word_tokenizer

FAMILIES: dict[str, type[FrozenModel]] = {
    each.family: each for each in (CausalModel, MaskedModel, EncoderDecoderModel, SentenceEncoder)
}


@dataclass
class Model:
    """What preparing rows asks of a model."""

    family: str = "causal"
    tokenizer: Any = None
    positions: int | None = None

    @property
    def labels(self) -> LabelPlace:
        return FAMILIES[self.family].labels

    @property
    def writes(self) -> bool:
        return FAMILIES[self.family].writes


BARE = word_tokenizer()
FRAMED = word_tokenizer("<bos>", "<eos>")
BOS, EOS = 2, 3


def ids(text: str) -> tuple[int, ...]:
    return tuple(BARE(text)["input_ids"])


def task(template: str, *words: str) -> Task:
    return Task("t", "classification", template, words or ("great", "very bad"))


def rows(
    template: str,
    *texts: str,
    family: str = "causal",
    tokenizer: Any = BARE,
    positions: int | None = None,
    objective: Objective = "full",
    prompt_length: int = 0,
    words: tuple[str, ...] = (),
) -> list[Row]:
    return prepare(
        Model(family, tokenizer, positions),
        task(template, *words),
        [Example(text, 1) for text in texts],
        objective=objective,
        prompt_length=prompt_length,
    )


def test_labels_follow_the_template_after_a_space() -> None:
    row = rows("{text} it is", "a film")[0]
    assert row.prefix_ids == ids("a film it is")
    assert row.options == (ids("great"), ids("very bad"))
    assert (row.label, row.suffix_ids, row.slots) == (1, (), (Slot(0),))


def test_labels_are_tokenised_with_the_text_in_front_of_them() -> None:
    """A byte-pair vocabulary has other tokens for a word behind a space, and behind a colon."""
    model = load_model("builtin", device="cpu")
    encode = model.tokenizer
    for template in (
        "{text} It was",
        "{text}\nSentiment:{label}",
        "{text} (",
        "{text} It was {label}.",
    ):
        kinds = Task("t", "classification", template, ("great", "very terrible indeed"))
        row = prepare(model, kinds, [Example("fine film", 0)])[0]
        for word, option in zip(kinds.label_words, row.options, strict=True):
            head = template.partition("{label}")[0].replace("{text}", "fine film")
            gap = "" if template.endswith(("{label}", "(")) and "\n" in template else " "
            joined = head.rstrip(" ") + gap + word
            assert [*row.prefix_ids, *option] == encode(joined)["input_ids"]
            assert option


@pytest.mark.parametrize("family", ["causal", "masked", "encoder_decoder", "sentence_encoder"])
def test_every_family_frames_rows_with_its_special_tokens(family: str) -> None:
    row = rows("{text} is {label} .", "film", family=family, tokenizer=FRAMED)[0]
    great, bad = ids("great"), ids("very bad")
    stem, whole = (BOS, *ids("film is")), (BOS, *ids("film is ."), EOS)
    expected = {
        "causal": (stem, (great, bad), (), (Slot(0),)),
        "masked": (stem, (great, bad), (*ids("."), EOS), (Slot(1),)),
        "encoder_decoder": (whole, (great, bad), (), (Slot(0),)),
        "sentence_encoder": (whole, ((BOS, *great, EOS), (BOS, *bad, EOS)), (), (Slot(1),)),
    }[family]
    assert (row.prefix_ids, row.options, row.suffix_ids, row.slots) == expected


def test_the_paper_objective_scores_from_the_first_difference_to_the_end_token() -> None:
    words = ("very good", "very bad")
    template = "{text} is {label} ."
    paper = {"tokenizer": FRAMED, "objective": "paper", "words": words}
    row = rows(template, "film", prompt_length=2, **paper)[0]
    assert row.prefix_ids == ids("film is very"), "the prompt stands in place of the first token"
    assert row.options == ((*ids("good ."), EOS), (*ids("bad ."), EOS))
    alone = rows(template, "film", **paper)[0]
    assert alone.prefix_ids == (BOS, *ids("film is very")), "no prompt takes its place"
    assert alone.options == row.options
    full = rows(template, "film", tokenizer=FRAMED, words=words)[0]
    assert full.prefix_ids == (BOS, *ids("film is"))
    assert full.options == (ids("very good"), ids("very bad"))


def test_prompt_slots_keep_their_places() -> None:
    row = rows("{prompt:2}{text}{prompt:1} it {prompt:3}is", "a film")[0]
    assert row.slots == (Slot(0, 2), Slot(2, 1), Slot(3, 3))
    assert row.asked == 6
    assert row.items(6) == [-1, -2, *ids("a film"), -3, *ids("it"), -4, -5, -6, *ids("is")]
    assert row.items(0) == list(ids("a film it is"))
    masked = rows("{text} is {label}{prompt:2} .", "film", family="masked", tokenizer=FRAMED)[0]
    filled = masked.items(2, [4])
    assert filled == [BOS, *ids("film is"), 4, -1, -2, *ids("."), EOS]
    assert masked.label_start(2) == 3


def test_prompt_rows_behind_the_label_are_refused_where_nothing_is_read_there() -> None:
    for objective in ("full", "paper"):
        with pytest.raises(RowError, match=r"reads nothing behind \{label\}, found prompt rows"):
            rows("{text} is {label}{prompt:2} .", "a film", objective=objective)
    assert rows("{text} is {label}{prompt:2} .", "a film", family="encoder_decoder")[0].asked == 2


def test_generation_tasks_end_their_targets() -> None:
    examples = [Example("a film", target="it is good"), Example("a book")]
    made = prepare(Model("causal", BARE), Task("g", "generation", "{text} :"), examples)
    assert made[0].options == ((*ids("it is good"), EOS),)
    assert (made[0].label, made[1].label, made[1].options) == (0, None, ())


@pytest.mark.parametrize("family", ["causal", "masked", "encoder_decoder", "sentence_encoder"])
def test_texts_are_cut_so_that_prompt_template_and_labels_fit(family: str) -> None:
    words = ["film", "book", "good", "bad", "dull", "fine"] * 5
    found = rows(
        "the {text} is {label} .",
        " ".join(words),
        "film",
        family=family,
        tokenizer=FRAMED,
        positions=20,
        prompt_length=6,
    )
    long, short = found
    taken = len(long.prefix_ids) + len(long.suffix_ids)
    taken += 0 if family in ("encoder_decoder", "sentence_encoder") else 2  # `very bad`
    assert taken == 14
    kept = [i for i in long.prefix_ids if i in ids("film book good bad dull fine")]
    assert kept == list(ids(" ".join(words)))[: len(kept)], "the text is cut at its end"
    assert long.prefix_ids[:2] == (BOS, *ids("the")), "the template stays"
    assert short == rows("the {text} is {label} .", "film", family=family, tokenizer=FRAMED)[0]


def test_cutting_gets_through_characters_of_several_tokens() -> None:
    model = load_model("builtin", device="cpu")
    sentiment = Task("t", "classification", "{text} It was", ("great", "terrible"))
    limited = Model("causal", model.tokenizer, 12)
    for text in ("😀" * 40, "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 " * 9, "é" * 200, " " * 300 + "x"):
        row = prepare(limited, sentiment, [Example(text)], prompt_length=3)[0]
        assert len(row) <= 9
        assert row.prefix_ids[-2:] == tuple(model.tokenizer(" It was")["input_ids"])


def test_rows_that_cannot_be_made_are_refused() -> None:
    with pytest.raises(RowError, match="need 3 positions more than the 2"):
        rows("{text} it is a film", "good", positions=8, prompt_length=6, words=("bad", "fine"))
    with pytest.raises(RowError, match="nothing stands before the label"):
        rows("{text}", "")
    with pytest.raises(RowError, match="label} at most once"):
        rows("{text} {label} {label}", "film")
    with pytest.raises(RowError, match=r"1 or more rows, found \{prompt:0\}"):
        rows("{prompt:0}{text}", "film")
    with pytest.raises(RowError, match="every label needs a token of its own"):
        rows("{text} is", "film", words=("good", " "))


def test_a_loss_needs_the_right_label() -> None:
    model = load_model("builtin", device="cpu")
    sentiment = Task("t", "classification", "{text} It was", ("great", "terrible"))
    with pytest.raises(RowError, match="a loss needs the right label or a target"):
        model.losses(None, prepare(model, sentiment, [Example("film")]))


def test_of_a_pair_the_longer_text_is_cut_first() -> None:
    pair = Example("", 1, columns={"a": "film book good bad dull fine", "b": "a book"})
    kind = task("{a} and {b} is", "great", "bad")
    row = prepare(Model("causal", BARE, 11), kind, [pair], prompt_length=3)[0]
    assert row.prefix_ids == ids("film book good and a book is")
    assert row.cut == 3
    with pytest.raises(RowError, match=r"names \{b\}, the data has 'a': give rows with that"):
        prepare(Model("causal", BARE), kind, [Example("", columns={"a": "film"})])


def test_cut_texts_are_counted_and_noted_once() -> None:
    texts = ["film " * 9, "film", "film " * 12]
    with collected() as notes:
        for _ in range(2):
            rows("{text} is", *texts, positions=14, prompt_length=6, words=("great", "bad"))
    expected = "2 of 3 texts do not fit the 8 positions beside the prompt"
    assert [line.partition(":")[0] for line in notes] == [expected]
    assert notes[0].endswith("their ends are cut, 3 to 6 tokens each")


@pytest.mark.parametrize("family", ["causal", "encoder_decoder", "masked", "sentence_encoder"])
def test_label_words_of_which_one_can_never_win_are_refused(family: str) -> None:
    """`good enough` is never likelier than `good` to a model that reads from left to right."""
    words = ("good", "good fine")
    if family in ("causal", "encoder_decoder"):
        with pytest.raises(RowError, match="the label word 'good' begins 'good fine', which can"):
            rows("{text} is", "film", family=family, words=words)
    else:
        assert len(rows("{text} is", "film", family=family, words=words)[0].options) == 2
    with pytest.raises(RowError, match="'unheard' and 'unseen' are the same tokens|'unseen' and"):
        rows("{text} is", "film", family=family, words=("unheard", "unseen"))


def test_an_ended_label_word_may_begin_another() -> None:
    words = ("good", "good fine")
    found = rows("{text} is", "film", tokenizer=FRAMED, objective="paper", words=words)[0]
    assert found.options == ((EOS,), (*ids("fine"), EOS))


def test_label_words_that_the_vocabulary_lacks_are_noted() -> None:
    with collected() as notes:
        rows("{text} is", "film", words=("good", "splendid"))
        rows("{text} is", "film", words=("good", "bad"))
    assert len(notes) == 1
    assert "the vocabulary of the model lacks the label word 'splendid'" in notes[0]


def test_more_new_tokens_than_there_is_room_for_are_told_as_such() -> None:
    with pytest.raises(RowError, match="expected fewer than 61 new tokens, found 500"):
        require_room(3, 64, 500)


def test_label_words_of_differing_length_are_noted() -> None:
    with collected() as notes:
        rows("{text} is", "film", words=("good", "not very bad"))
        rows("{text} is", "film", words=("good", "bad"))
    assert len(notes) == 1
    assert "the label words differ in tokens (good 1, not very bad 3)" in notes[0]


def test_special_tokens_are_told_apart_where_small_letters_have_no_tokens() -> None:
    """As of models of proteins, whose tokenizers leave out what they do not know."""
    ids = {token: row for row, token in enumerate(["<bos>", "<eos>", *"ACDEFGHIKLMNPQRSTVWY"])}
    inner = Tokenizer(models.BPE(ids, []))
    inner.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 0), ("<eos>", 1)]
    )
    assert special_ids(PreTrainedTokenizerFast(tokenizer_object=inner)) == ([0], [1])
