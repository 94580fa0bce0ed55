"""Readable stand-ins for a soft prompt: its nearest tokens, and two controls for them."""

from __future__ import annotations

import dataclasses

import numpy as np

from probe.analysis.decoding import require_decodable
from probe.analysis.neighbours import DEFAULT_METRIC, Metric, nearest_tokens
from probe.arrays import IntArray
from probe.prompt import AnyPrompt, SoftPrompt
from probe.vocabulary import Vocabulary


def discretise(
    prompt: AnyPrompt, vocabulary: Vocabulary, *, metric: Metric = DEFAULT_METRIC
) -> SoftPrompt:
    """Each row replaced by its nearest token's embedding.

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
    """
    prompt = require_decodable(prompt, vocabulary)
    ids = nearest_tokens(prompt.embeddings, vocabulary, metric, k=1).ids[:, 0]
    return _of_tokens(prompt, vocabulary, ids, "discretised")


def shuffled(
    prompt: AnyPrompt,
    vocabulary: Vocabulary,
    *,
    rng: np.random.Generator,
    metric: Metric = DEFAULT_METRIC,
) -> SoftPrompt:
    """The discretised prompt in another order: does word order carry anything?

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
    """
    prompt = require_decodable(prompt, vocabulary)
    ids = nearest_tokens(prompt.embeddings, vocabulary, metric, k=1).ids[:, 0]
    return _of_tokens(prompt, vocabulary, rng.permutation(ids), "shuffled")


def random_tokens(
    prompt: AnyPrompt, vocabulary: Vocabulary, *, rng: np.random.Generator
) -> SoftPrompt:
    """As many tokens drawn at random from those some text can reach.

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
    """
    prompt = require_decodable(prompt, vocabulary)
    masks = vocabulary.masks
    ids = rng.choice(np.flatnonzero(~masks.special & ~masks.unused), size=len(prompt))
    return _of_tokens(prompt, vocabulary, ids, "random tokens")


def _of_tokens(prompt: SoftPrompt, vocabulary: Vocabulary, ids: IntArray, how: str) -> SoftPrompt:
    return dataclasses.replace(
        prompt,
        name=f"{prompt.name} ({how})",
        embeddings=vocabulary.rows(ids),
        init_token_ids=None,
        provenance=None,
        metrics={},
        config={"token_ids": [int(i) for i in ids], "from": prompt.name},
    )
