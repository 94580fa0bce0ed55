"""Lens and patching: what the model's layers make of a prompt's rows."""

from __future__ import annotations

import numpy as np

from probe.analysis.lens import LensCell, logit_lens
from probe.analysis.patching import describe
from probe.errors import NotDecodableError
from probe.models import patcher, tracer, unembedder
from probe.prompt import SoftPrompt
from probe.readings.promoted import causal_model
from probe.readings.reading import TOKENS, Reading, RowTokens, ScoredToken, Subject

_K, _LENS_DRAWS, _PATCH_DRAWS = 10, 5, 19


def read_lens(subject: Subject) -> Reading:
    """The tokens that the layers' states of all rows would predict, by mean probability.

    The mean is over layers and rows; tokens that are not among a state's ten count as 0 there.
    Nothing is judged; `probe lens` has every layer beside random rows.

    Raises:
        NotDecodableError: the model has no unembedding, or the prompt no hidden states.
    """
    model, prompt = subject.model, _soft(subject)
    if model is None or model.labels != "in_text":
        named = subject.vocabulary.name if model is None else f"{model.name} ({model.family})"
        raise NotDecodableError(f"the lens needs a causal or masked language model, found {named}")
    found = logit_lens(
        prompt,
        tracer(model),
        unembedder(model),
        subject.vocabulary.tokens,
        k=min(_K, len(subject.vocabulary)),
        draws=_LENS_DRAWS,
        seed=subject.seed,
    )
    tokens = _mean_probabilities(subject, found.cells)
    overlap = np.mean([one.overlap for one in found.layers])
    return Reading(
        "lens",
        tokens=tokens[:TOKENS],
        text=", ".join(subject.words([one.id for one in tokens])[:TOKENS]),
        rows=tuple(
            RowTokens(position, _mean_probabilities(subject, own)[:TOKENS])
            for position in range(len(prompt))
            if (own := tuple(cell for cell in found.cells if cell.position == position))
        ),
        control=(
            f"random rows of the same norms, which share {overlap:.0%} of the tokens of a state"
        ),
    )


def _mean_probabilities(subject: Subject, cells: tuple[LensCell, ...]) -> tuple[ScoredToken, ...]:
    ids = np.array([one.id for cell in cells for one in cell.tokens])
    shares = np.array([one.probability for cell in cells for one in cell.tokens])
    named, places = np.unique(ids, return_inverse=True)
    means = np.bincount(places, shares) / len(cells)
    order = np.argsort(-means, kind="stable")
    return subject.tokens(named[order], means[order])


def read_patching(subject: Subject) -> Reading:
    """What the model writes where the prompt's states stand in a text that asks for words.

    The layer whose text names most of the prompt's label words speaks. p compares the share of
    words named with that of 19 prompts of random rows, for each of which a layer is chosen too.

    Raises:
        NotDecodableError: the file tells no label words, the prompt has no hidden states, or the
            model writes no text.
    """
    model, prompt = causal_model(subject, "patching needs"), _soft(subject)
    words = _label_words(prompt)
    found = describe(
        prompt, tracer(model), patcher(model), words, draws=_PATCH_DRAWS, seed=subject.seed
    )
    best = max(found.layers, key=lambda one: one.class_rate)
    return Reading(
        "patching",
        text=best.text.strip(),
        prose=True,
        p=found.p_value,
        control=f"{found.draws} prompts of random rows of the same norms",
    )


def _soft(subject: Subject) -> SoftPrompt:
    if not isinstance(subject.prompt, SoftPrompt):
        raise NotDecodableError(
            f"{subject.prompt.name} is a key/value prefix: it has no hidden states of its own"
        )
    return subject.prompt


def _label_words(prompt: SoftPrompt) -> tuple[str, ...]:
    words = prompt.config.get("label_words")
    listed = words if isinstance(words, list | tuple) else ()
    found = tuple(one for one in listed if isinstance(one, str))
    if not found:
        raise NotDecodableError(
            f"{prompt.name}: its file tells no label words, which a description is judged by; "
            "`probe lens --describe --term` takes them"
        )
    return found
