"""From what readings said of prompts of known meaning to how often each was right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from probe.analysis.reading_rates import (
    BINS,
    CHECK,
    ITSELF,
    RANDOM,
    KnownPrompt,
    Rate,
    ReadingRates,
    places,
    retrieval,
)
from probe.arrays import BoolArray, Float64Array, IntArray
from probe.distillation.known_texts import KnownText
from probe.readings.reading import TOKENS, words_of
from probe.readings.scorers import scored
from probe.studies.prompt_readings import Said
from probe.vocabulary import Vocabulary

NOTHING = "nothing"
"""The condition whose teacher reads no text."""
_RANDOM_EACH = 2
"""Lists of random tokens per text."""
Group = tuple[str, str]
"""Condition and reading."""


@dataclass(frozen=True, eq=False)
class _Group:
    """What a reading said of the prompts of a condition."""

    words: list[Sequence[str]]
    right: IntArray
    """[n] numbers of the prompts' texts."""
    shares: Float64Array
    """[n] shares explained; not a number where unknown."""
    better: list[bool]
    """Of the prompts that are judged."""


def reading_rates(
    model: str,
    vocabulary: Vocabulary,
    texts: Sequence[KnownText],
    prompts: Sequence[KnownPrompt],
    said: Callable[[KnownPrompt, str], Said | None],
    readings: Sequence[str],
) -> ReadingRates:
    """Score what was said of prompts so far.

    Args:
        model: its name.
        vocabulary: of the model; random tokens are drawn from it.
        texts: among which the right one is looked for, N.
        prompts: those there are.
        said: what a reading said of a prompt; None where it has not been read.
        readings: names, in the order of the table.
    """
    groups, refused = _groups(prompts, said, readings)
    every: dict[Group, _Group] = {**_checks(vocabulary, texts), **groups}
    found, notes = scored([words for one in every.values() for words in one.words], texts)
    rates: list[Rate] = []
    start = 0
    own: dict[Group, Mapping[str, Float64Array]] = {}
    for name, group in every.items():
        end = start + len(group.words)
        own[name] = {scorer: scores[start:end] for scorer, scores in found.items()}
        start = end
        rates += _rates(name, group, own[name], len(texts))
    largest = _largest(groups)
    return ReadingRates(
        model=model,
        table_sha256=vocabulary.fingerprint,
        texts=len(texts),
        rates=tuple(rates),
        kinds={
            reading: _by_kind(texts, group.right, next(iter(own[condition, reading].values())))
            for (condition, reading), group in groups.items()
            if condition == largest and own[condition, reading]
        },
        kinds_of=largest,
        controls=_controls(prompts, said, readings),
        prompts=tuple(prompts),
        notes=(*notes, *refused),
    )


def _groups(
    prompts: Sequence[KnownPrompt],
    said: Callable[[KnownPrompt, str], Said | None],
    readings: Sequence[str],
) -> tuple[dict[Group, _Group], list[str]]:
    """What was said by condition and reading, and why some readings say nothing of any prompt."""
    groups, refused = {}, {}
    for condition in dict.fromkeys(one.condition for one in prompts):
        mine = [one for one in prompts if one.condition == condition]
        for reading in readings:
            read = [(one, told) for one in mine if (told := said(one, reading)) is not None]
            if read and all(told.refused for _, told in read):
                refused[reading] = f"{reading} is a reading of none of these: {read[0][1].refused}"
            elif read:
                groups[condition, reading] = _group(read)
    return groups, [line for name, line in refused.items() if not _was_read(name, groups)]


def _was_read(reading: str, groups: Mapping[Group, _Group]) -> bool:
    return any(name == reading for _, name in groups)


def _group(read: Sequence[tuple[KnownPrompt, Said]]) -> _Group:
    shares = [np.nan if one.share_explained is None else one.share_explained for one, _ in read]
    better = [told.better_than_controls for _, told in read]
    return _Group(
        [told.words for _, told in read],
        np.array([one.number for one, _ in read]),
        np.array(shares, dtype=np.float64),
        [one for one in better if one is not None],
    )


def _checks(vocabulary: Vocabulary, texts: Sequence[KnownText]) -> dict[Group, _Group]:
    """The texts themselves, which are to be found, and random tokens, which are not."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(vocabulary), (_RANDOM_EACH * len(texts), 3 * TOKENS))
    said = {
        ITSELF: [text.text.split() for text in texts],
        RANDOM: [words_of(vocabulary, ids)[:TOKENS] for ids in drawn],
    }
    return {
        (CHECK, name): _Group(
            list(lists), np.arange(len(lists)) % len(texts), np.full(len(lists), np.nan), []
        )
        for name, lists in said.items()
    }


def _rates(
    name: Group, group: _Group, scores: Mapping[str, Float64Array], texts: int
) -> Iterator[Rate]:
    """The rate of a reading on all prompts of a condition, and on those of each share explained."""
    for scorer, own in scores.items():
        for words, which in _bins(group):
            found = retrieval(own[which], group.right[which])
            judged = group.better if words is None else []
            yield Rate(
                *name,
                scorer,
                words,
                int(which.sum()),
                texts,
                len(np.unique(group.right[which])),
                found.top1,
                found.top5,
                found.mrr,
                float(np.mean(judged)) if judged else None,
            )


def _bins(group: _Group) -> Iterator[tuple[str | None, BoolArray]]:
    yield None, np.ones(len(group.right), bool)
    edges = (-np.inf, *BINS, np.inf)
    for low, high in zip(edges, edges[1:], strict=False):
        which = (group.shares >= low) & (group.shares < high)
        if which.any() and not which.all():
            yield _words(low, high), which


def _words(low: float, high: float) -> str:
    if not np.isfinite(low):
        return f"below {high:g}"
    return f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more"


def _largest(groups: Mapping[Group, _Group]) -> str | None:
    """The condition with most prompts that were taught a text; of equal ones the first."""
    sizes = {name: len(one.right) for (name, _), one in groups.items() if NOTHING not in name}
    return max(sizes, key=lambda name: sizes[name], default=None)


def _by_kind(texts: Sequence[KnownText], right: IntArray, scores: Float64Array) -> dict[str, float]:
    better, ties = places(scores, right)
    first = np.clip((1 - better) / ties, 0, 1)
    kinds = np.array([text.kind for text in texts])[right]
    return {str(kind): float(first[kinds == kind].mean()) for kind in dict.fromkeys(kinds)}


def _controls(
    prompts: Sequence[KnownPrompt],
    said: Callable[[KnownPrompt, str], Said | None],
    readings: Sequence[str],
) -> dict[str, list[float]]:
    mine = [one for one in prompts if one.condition == NOTHING]
    found = {
        reading: [
            told.best
            for one in mine
            if (told := said(one, reading)) is not None and told.best is not None
        ]
        for reading in readings
    }
    return {reading: scores for reading, scores in found.items() if scores}
