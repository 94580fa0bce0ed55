"""How near is what a reading says to a text? Two scorers, each checked on the texts themselves."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from probe.distillation.known_texts import KnownText
from probe.errors import ProbeError
from probe.linalg import unit_rows
from probe.task import Example, Task

Words = Sequence[str]
Scores = NDArray[np.float64]
SENTENCE_ENCODER = "minilm"
_ROWS_AT_ONCE = 32


def overlaps(said: Sequence[Words], texts: Sequence[KnownText]) -> Scores:
    """Share of each text's content words that a reading says, [n, N].

    Words are compared in lower case, without the punctuation around them, and by their stems
    (Porter's English ones of NLTK). Of texts of which equal shares are said, the one that is named
    earlier scores more.
    """
    wanted = [[_stem(word) for word in text.words] for text in texts]
    scores = np.zeros((len(said), len(texts)))
    for i, words in enumerate(said):
        ranks = {_stem(word): rank for rank, word in reversed(list(enumerate(words)))}
        for j, stems in enumerate(wanted):
            found = [ranks[stem] for stem in stems if stem in ranks]
            scores[i, j] = len(found) / len(stems) - 1e-3 * min(found, default=0)
    return scores


def similarities(said: Sequence[Words], texts: Sequence[KnownText]) -> Scores:
    """Cosine of the sentence embeddings of what readings say and of the texts, [n, N].

    Raises:
        ProbeError: the sentence encoder is not installed.
    """
    told = [" ".join(words) or "." for words in said]
    wanted = [text.text for text in texts]
    embedded = _embedded([*told, *wanted])
    rows, columns = (np.stack([embedded[text] for text in own]) for own in (told, wanted))
    scores: Scores = rows @ columns.T
    return scores


SCORERS: dict[str, Callable[[Sequence[Words], Sequence[KnownText]], Scores]] = {
    "overlap": overlaps,
    "semantic": similarities,
}


def scored(
    said: Sequence[Words], texts: Sequence[KnownText]
) -> tuple[dict[str, Scores], list[str]]:
    """The scores of every scorer that is here, and why another one is not."""
    found, notes = {}, []
    for name, score in SCORERS.items():
        try:
            found[name] = score(said, texts)
        except ProbeError as error:
            notes.append(f"not scored by the {name} scorer: {error}")
    return found, notes


@cache
def _stem(word: str) -> str:
    from nltk.stem.snowball import SnowballStemmer  # half a second, and few commands stem

    bare = word.strip(string.punctuation + string.whitespace + "“”‘’«»…–—")  # of sentences
    return str(SnowballStemmer("english").stem((bare or word).lower()))


def _embedded(texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """The unit sentence embedding of each text, [H]."""
    kept = _kept()
    missing = [text for text in dict.fromkeys(texts) if text not in kept]
    if missing:
        kept |= dict(zip(missing, _embed(missing), strict=True))
    return kept


@cache
def _kept() -> dict[str, NDArray[np.float64]]:
    """Embeddings made in this process: a study that goes on scores the same words again."""
    return {}


def _embed(texts: Sequence[str]) -> NDArray[np.float64]:
    from probe.models import load_model, prepare
    from probe.models.injection import no_prompt
    from probe.models.sentence_encoder import SentenceEncoder

    model = load_model(SENTENCE_ENCODER, device="cpu")
    assert isinstance(model, SentenceEncoder)
    task = Task("said", "classification", "{text}", ("a", "b"))
    rows = prepare(model, task, [Example(text, 0) for text in texts])
    parts = [
        model.embeddings(no_prompt(), rows[i : i + _ROWS_AT_ONCE]).detach().numpy()
        for i in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return np.asarray(unit_rows(np.concatenate(parts).astype(np.float64)), dtype=np.float64)
