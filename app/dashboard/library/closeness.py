"""How near the prompts of the library lie to tokens, found for all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from dashboard.shared.resources import Entry, is_local, prompt_of, vocabulary, workspace
from probe.analysis.neighbours import nearest_tokens
from probe.errors import ProbeError
from probe.prompt import SoftPrompt
from probe.vocabulary import Vocabulary

Key = tuple[str, str, str]


def median_best_cosines(entries: Sequence[Entry]) -> list[float | None]:
    """Median over each prompt's rows of the cosine with the nearest token of its own model.

    None where there is no such number, or it would have to be fetched. One pass over a table serves
    all prompts that are not known yet: a pass for each would keep a first visit waiting.
    """
    known = _known()
    missing: dict[int, tuple[Vocabulary, list[tuple[Key, SoftPrompt]]]] = {}
    for entry in entries:
        if _key(entry) not in known and (found := _comparable(entry)):
            prompt, table = found
            missing.setdefault(id(table), (table, []))[1].append((_key(entry), prompt))
    for table, prompts in missing.values():
        rows = np.concatenate([prompt.embeddings for _, prompt in prompts])
        best = nearest_tokens(rows, table, "cosine", k=1).scores[:, 0]
        ends = np.cumsum([len(prompt) for _, prompt in prompts])[:-1]
        for (key, _), own in zip(prompts, np.split(best, ends), strict=True):
            known[key] = float(np.median(own))
    return [known.get(_key(entry)) for entry in entries]


def _comparable(entry: Entry) -> tuple[SoftPrompt, Vocabulary] | None:
    """A prompt and the table of its model, where both can be read and fit."""
    model = entry.card.base_model
    if entry.card.kind == "kv_prefix" or model is None or not is_local(model):
        return None
    try:
        prompt, table = prompt_of(entry), vocabulary(entry, model)
    except ProbeError:
        return None  # the page of the prompt says what is wrong with it
    fits = isinstance(prompt, SoftPrompt) and prompt.width == table.width
    return (prompt, table) if fits else None


def _key(entry: Entry) -> Key:
    return str(workspace().root), entry.id, entry.card.created


@st.cache_resource(show_spinner=False)
def _known() -> dict[Key, float]:
    """What was found before, by any session."""
    return {}
