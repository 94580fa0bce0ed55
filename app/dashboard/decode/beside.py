"""Beside a prompt: how its start, a sentence and the Gaussian control read by the same measure."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.shared.limits import costly
from dashboard.shared.resources import SAME_VECTORS, Entry, prompt_of, vocabulary
from dashboard.shared.sidebar import chosen_metric
from dashboard.shared.token_strip import draw_strip
from probe.analysis.decoding import Decoding
from probe.analysis.neighbours import Metric
from probe.analysis.references import like_vocabulary
from probe.analysis.starts import start_token_ids
from probe.arrays import Float32Array
from probe.linalg import unit_rows
from probe.prompt import SoftPrompt
from probe.reports.token_strips import nearest_strip
from probe.verbs.decoding import decode

_START, _SENTENCE, _CHANCE = "its start", "a real sentence", "Gaussian control"
_WORDS = "We waited an hour for a table by the door, but the food was worth it in the end."
_SEED = 0


def draw_beside(entry: Entry, model: str) -> None:
    """One reference at a time, read as the prompt is: what a percentile looks like elsewhere."""
    chosen = st.segmented_control(
        "Beside it", (_START, _SENTENCE, _CHANCE), key="beside", persist_state="session",
        help="its start: the initial tokens. a real sentence: the embeddings of its tokens. "
        "Gaussian control: rows with the vocabulary's mean and covariance, at the prompt's norms.",
    )  # fmt: skip
    if chosen is None:
        return
    found = _read(entry, model, str(chosen), chosen_metric())
    if found is None:
        st.caption("Where this prompt started is not known.")
    else:
        draw_strip(f"The token nearest to each row of {chosen}", nearest_strip(found))


@st.cache_data(
    show_spinner="Comparing every row with every token …", max_entries=32, hash_funcs=SAME_VECTORS
)
@costly
def _read(entry: Entry, model: str, what: str, metric: Metric) -> Decoding | None:
    rows = _rows(entry, model, what)
    if rows is None:
        return None
    table = vocabulary(entry, model)
    return decode(SoftPrompt(what, rows, base_model=model), table, metric=metric)


def _rows(entry: Entry, model: str, what: str) -> Float32Array | None:
    prompt, table = prompt_of(entry), vocabulary(entry, model)
    assert isinstance(prompt, SoftPrompt)  # who has no rows is not decoded
    if what == _SENTENCE:
        return table.rows(list(table.encode(_WORDS))[: len(prompt)])
    if what == _CHANCE:
        drawn = like_vocabulary(table.rows(slice(None)), len(prompt), np.random.default_rng(_SEED))
        return (unit_rows(drawn.astype(np.float32)) * prompt.norms[:, None]).astype(np.float32)
    ids = start_token_ids(prompt)
    if ids is None or ids.max() >= len(table):
        return None
    return table.rows(ids)
