"""The table of a decoding: tokens per position with their scores, the controls beside them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from probe.analysis.decoding import Decoding, Position
from probe.charts import score_text, visible

Cells = list[tuple[int, int]]


def search(decoding: Decoding, words: str) -> Cells:
    """(position, rank) of every neighbour whose token contains the words, in any letter case."""
    wanted = words.casefold().replace(" ", "␣")
    if not wanted:
        return []
    return [
        (p.position, rank)
        for p in decoding.positions
        for rank, n in enumerate(p.neighbours, start=1)
        if wanted in n.token.casefold().replace(" ", "␣")
    ]


def decoding_table(decoding: Decoding, found: Cells) -> pd.DataFrame:
    """One row per position: nearest token, score, controls, then the further neighbours."""
    ranks: dict[int, list[int]] = {}
    for position, rank in found:
        ranks.setdefault(position, []).append(rank)
    rows = []
    for p in decoding.positions:
        row: dict[str, Any] = {"position": p.position}
        if found:
            row["found"] = ", ".join(f"#{rank}" for rank in ranks.get(p.position, []))
        rows.append(row | _cells(p, decoding))
    frame = pd.DataFrame(rows)
    unflagged = not any(p.controls and p.controls.flags for p in decoding.positions)
    return frame.drop(columns="flags", errors="ignore") if unflagged else frame


def column_config(decoding: Decoding) -> dict[str, Any]:
    """How each column of `decoding_table` is drawn and what its header explains."""
    digits = "%.3f" if decoding.metric == "cosine" else "%.4g"
    share: dict[str, Any] = {"min_value": 0, "max_value": 100, "format": "%.1f %%"}
    config: dict[str, Any] = {
        "position": st.column_config.NumberColumn("#", width=44, help="Position"),
        "found": st.column_config.TextColumn("found at", width=80, help="Rank of the search hit"),
        "token": st.column_config.TextColumn("nearest token", width=130),
        "score": st.column_config.NumberColumn(format=digits, width=65),
        "chance": st.column_config.ProgressColumn(
            "beats Gaussian",
            help="Share of the Gaussian control, at the same norm, whose best score is worse. "
            "Up to 97.5 % counts as no better than chance.",
            width=105,
            **share,
        ),
        "vocabulary": st.column_config.ProgressColumn(
            "beats held-out",
            help="Share of tokens that lie farther from their nearest other token. "
            "Below 1 % counts as outside the token distribution.",
            width=105,
            **share,
        ),
        "isotropic": st.column_config.ProgressColumn(
            "beats isotropic",
            help="Share of the isotropic control, at the same norm, whose best score is worse.",
            width=105,
            **share,
        ),
        "flags": st.column_config.ListColumn(width=290),
        "norm": st.column_config.NumberColumn(format="%.3g", width=80),
        "norm_percentile": st.column_config.NumberColumn(
            "norm percentile",
            help="Share of vocabulary tokens with a smaller norm.",
            format="%.1f %%",
            width=120,
        ),
        "agreement": st.column_config.NumberColumn(
            help="How far the three metrics name the same tokens: 0 not at all, 1 entirely.",
            format="%.2f",
            width=95,
        ),
    }
    further = range(2, decoding.k + 1)
    return config | {f"#{r}": st.column_config.TextColumn(width=125) for r in further}


def _cells(position: Position, decoding: Decoding) -> dict[str, Any]:
    nearest, *others = position.neighbours
    cells: dict[str, Any] = {"token": visible(nearest.token), "score": nearest.score}
    controls = position.controls
    if controls:
        cells |= {
            "chance": controls.chance,
            "vocabulary": controls.vocabulary,
            "isotropic": controls.isotropic,
        }
    for rank, near in enumerate(others, start=2):
        cells[f"#{rank}"] = f"{visible(near.token)}  {score_text(near.score, decoding.metric)}"
    cells["norm"] = position.norm
    if controls:
        cells |= {
            "norm_percentile": controls.norm_percentile,
            "agreement": controls.metric_agreement,
            "flags": list(controls.named_flags),
        }
    return cells
