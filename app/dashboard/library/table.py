"""The library as a table: one row per prompt, quick with a thousand of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared.resources import Entry, files_of, is_local, prompt_of, vocabulary, workspace
from probe.analysis.gains import main_score
from probe.analysis.mixing import median_best_cosines
from probe.errors import ProbeError
from probe.prompt import SoftPrompt
from probe.requests.train_methods import method_words
from probe.vocabulary import Vocabulary

Key = tuple[object, ...]
_MOST_COMPARED = 200
"""In a larger library comparing every prompt with its vocabulary would keep the page waiting."""


def library_table(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row per prompt, in the order given."""
    rows = [_row(entry) for entry in entries]
    if len(entries) <= _MOST_COMPARED:
        for row, closeness in zip(rows, _closeness(entries), strict=True):
            row["closeness"] = closeness
    return pd.DataFrame(rows)


def size_of(entry: Entry) -> str:
    """P × H, or the layout of a prefix."""
    shape = entry.card.shape
    if entry.card.kind == "kv_prefix":
        layers, heads, positions, width = shape
        return f"{positions} × {layers} layers × {heads} heads × {width}"
    return " × ".join(str(n) for n in shape)


def positions_of(entry: Entry) -> int:
    """Number of virtual tokens, P."""
    return entry.card.shape[2 if entry.card.kind == "kv_prefix" else 0]


COLUMNS: dict[str, Any] = {
    "name": st.column_config.TextColumn(width=195),
    "task": st.column_config.TextColumn(width=70),
    "method": st.column_config.TextColumn(width=110),
    "positions": st.column_config.NumberColumn("P", help="Positions (virtual tokens)", width=42),
    "width": st.column_config.NumberColumn("H", help="Width of each position", width=45),
    "model": st.column_config.TextColumn("base model", width=90),
    "score": st.column_config.ProgressColumn(
        min_value=0,
        max_value=1,
        format="%.3f",
        width=95,
        help="By the task's metric; of a distilled prompt the share of its text's effect",
    ),
    "zero_shot": st.column_config.NumberColumn(
        "zero-shot", format="%.3f", width=78, help="The same model and template without the prompt"
    ),
    "gain": st.column_config.NumberColumn(
        format="%+.3f", width=60, help="Score over that of the model alone"
    ),
    "closeness": st.column_config.NumberColumn(
        "median cosine",
        format="%.3f",
        width=105,
        help="Median over positions of the cosine with the nearest token. "
        "Decode says what the Gaussian control reaches. Left out where more than 200 prompts are "
        "listed.",
    ),
    "tags": st.column_config.ListColumn(width=85),
    "source": st.column_config.TextColumn(width=65),
}


def _row(entry: Entry) -> dict[str, Any]:
    card = entry.card
    score = main_score(card.metrics)
    alone = card.metrics.get(f"zero_shot_{score[0]}") if score else None
    return {
        "name": entry.id,
        "task": card.task,
        "method": method_words(card.method),
        "positions": positions_of(entry),
        "width": card.shape[-1] if card.kind == "soft_prompt" else None,
        "model": card.base_model,
        "score": score[1] if score else None,
        "zero_shot": alone,
        "gain": None if score is None or alone is None else score[1] - alone,
        "closeness": None,
        "tags": list(card.tags),
        "source": entry.source,
    }


def _closeness(entries: Sequence[Entry]) -> list[float | None]:
    """Median cosine of each prompt's rows with their nearest tokens.

    None where there is no such number, or it would have to be fetched. Prompts of one table that
    are not known yet are compared together: a pass for each would keep a first visit waiting.
    """
    known, keys = _known(), [_key(entry) for entry in entries]
    missing: dict[int, tuple[Vocabulary, list[tuple[Key, SoftPrompt]]]] = {}
    for entry, key in zip(entries, keys, strict=True):
        if key not in known and (found := _comparable(entry)):
            prompt, table = found
            missing.setdefault(id(table), (table, []))[1].append((key, prompt))
    for table, prompts in missing.values():
        medians = median_best_cosines([prompt.embeddings for _, prompt in prompts], table)
        known.update(zip((key for key, _ in prompts), medians, strict=True))
    return [known.get(key) for key in keys]


def _comparable(entry: Entry) -> tuple[SoftPrompt, Vocabulary] | None:
    """A prompt and the table of its model, where both can be read and fit."""
    model = entry.card.base_model
    if entry.card.kind == "kv_prefix" or model is None or not is_local(model):
        return None
    try:
        prompt, table = prompt_of(entry), vocabulary(entry, model)
    except ProbeError:
        return None  # the page of the prompt says what is wrong with it
    if not isinstance(prompt, SoftPrompt) or prompt.width != table.width:
        return None
    return prompt, table


def _key(entry: Entry) -> Key:
    place = "" if entry.source == "sample" else str(workspace().root)
    return place, entry.id, entry.card.created, files_of(entry.card.base_model)


@st.cache_resource(show_spinner=False)
def _known() -> dict[Key, float]:
    """Median cosines that were found before, by any session."""
    return {}
