"""A text and what the prompt constrained to it decodes to, token by token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from dashboard.shared.resources import is_local
from dashboard.shared.token_strip import draw_strip
from probe.analysis.decoding import Decoding
from probe.analysis.waywardness import WaywardRun
from probe.errors import ProbeError
from probe.prompt import SoftPrompt
from probe.reports.token_strips import StripToken, nearest_strip
from probe.store import JobFolder
from probe.tables import load_vocabulary
from probe.verbs.decoding import decode
from probe.verbs.loading import load

_NOTE = (
    "Above, shaded: the prompt's nearest token at this place is the same. Below: the stronger the "
    "shade, the more of the Gaussian control its score beats; underlined: still the initial token. "
    "Click one to see it in Decode."
)


def draw_texts(study: JobFolder, run: WaywardRun, pick: Callable[[int], None]) -> bool:
    """The text and the decoding, as strips where the model's tokens can be read.

    Returns:
        Whether a position of the decoding has just been picked.
    """
    strips = _strips(study.prompts / Path(run.prompt).name, run) if is_local(run.model) else None
    if strips is None:
        _draw_plain(run)
        return False
    draw_strip("Constrained to", strips[0])
    picked = draw_strip("Decodes to", strips[1], pick=pick)
    st.caption(_NOTE)
    return picked


def _draw_plain(run: WaywardRun) -> None:
    texts = st.columns(2, gap="medium")
    for place, label, text in zip(
        texts, ("Constrained to", "Decodes to"), (run.target, run.decoded), strict=True
    ):
        place.caption(label)
        place.code(text or "(nothing)", language=None, wrap_lines=True)


@st.cache_data(show_spinner="Comparing every row with every token …", max_entries=64)
def _strips(
    path: Path, run: WaywardRun
) -> tuple[tuple[StripToken, ...], tuple[StripToken, ...]] | None:
    """None where the prompt or its tokens cannot be read, or are not of one length."""
    try:
        (prompt,) = load(path)
        table = load_vocabulary(run.model)
        ids = table.encode(run.target)
        if not isinstance(prompt, SoftPrompt) or len(ids) != len(prompt):
            return None
        found = decode(prompt, table, metric="l2")
    except ProbeError:
        return None
    return _target(found, [table.tokens[one] for one in ids], list(ids)), nearest_strip(found)


def _target(found: Decoding, tokens: list[str], ids: list[int]) -> tuple[StripToken, ...]:
    return tuple(
        StripToken(
            token,
            f"position {row.position}: the prompt decodes to {row.neighbours[0].token}",
            100.0 if row.neighbours[0].id == id_ else 0.0,
        )
        for token, id_, row in zip(tokens, ids, found.positions, strict=True)
    )
