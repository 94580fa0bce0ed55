"""Two prompts beside each other: their tokens, what they share, and position against position."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard.compare.resources import shared_of, tokens_near
from dashboard.shared.heading import draw_figure
from dashboard.shared.markdown import plain
from dashboard.shared.prompt_pool import Pool
from dashboard.shared.sidebar import choose, show_in_decode
from dashboard.shared.token_strip import draw_decode_strip
from probe.analysis.compare import (
    SharedTokens,
    changes_since_start,
    position_view,
    positions_sentence,
    recorded_starts,
    shared_starts,
    start_words,
)
from probe.analysis.compare.pairs import plain_string
from probe.analysis.decoding import Decoding
from probe.analysis.neighbours import METRIC_NAMES, Metric
from probe.charts import position_view_map, score_text, visible
from probe.reports.token_strips import nearest_strip

Pair = tuple[int, int]
SHARED = "●"
"""Stands before a token that both prompts hold; colour alone would not reach everybody."""
_SIDES = "side by side"
_VIEWS = (_SIDES, "joint", "positions")


def choose_pair(pool: Pool, nearest: Pair) -> Pair:
    """The two prompts to look at; the nearest pair unless others are chosen."""
    left, right = st.columns(2, gap="medium")
    ids = list(pool.ids)
    chosen = [
        column.selectbox(
            label, ids, index=nearest[n], key=key, bind="query-params", persist_state="session",
            help="Or click a cell of the matrix.",
        )
        for n, (column, label, key) in enumerate(
            [(left, "First prompt", "a"), (right, "Second prompt", "b")]
        )
    ]  # fmt: skip
    return ids.index(str(chosen[0])), ids.index(str(chosen[1]))


def draw_pair(pool: Pool, pair: Pair, metric: Metric, k: int, *, change: bool) -> None:
    """What two prompts have in common, in one of three views, and whether they began alike."""
    if pair[0] == pair[1]:
        st.info("Choose two different prompts.", icon=":material/compare_arrows:")
        return
    shared = shared_of(pool, pair, metric, k)
    st.markdown(f"{_words(shared)} {_starts(pool, pair)}")
    view = st.segmented_control(
        "View", _VIEWS, default=_SIDES, required=True, key="pair", bind="query-params",
        persist_state="session", label_visibility="collapsed",
    )  # fmt: skip
    decodings = [tokens_near(pool, one, metric=metric, k=k) for one in pair]
    common = {one.token for one in shared.shared}
    for one in decodings:
        strip = [
            replace(token, percentile=100.0 * (plain_string(token.text) in common))
            for token in nearest_strip(one)
        ]
        draw_decode_strip(plain(one.prompt), one.prompt, strip)
    st.caption("Nearest tokens in order; shaded: one that both prompts have. Click: see in Decode.")
    if view == _SIDES:
        _draw_sides(decodings, common)
    elif view == "joint":
        _draw_joint(shared)
    else:
        _draw_positions(pool, pair, change=change)
    _draw_ways_on(pool, pair)


def side_table(decoding: Decoding, shared: Collection[str]) -> pd.DataFrame:
    """One row per position: nearest token, score, the others; shared tokens carry a mark."""
    rows = []
    for position in decoding.positions:
        nearest, *others = position.neighbours
        rows.append(
            {
                "#": position.position,
                "nearest token": _marked(nearest.token, shared),
                "score": score_text(nearest.score, decoding.metric),
                "further tokens": "   ".join(_marked(one.token, shared) for one in others),
            }
        )
    return pd.DataFrame(rows)


def _marked(token: str, shared: Collection[str]) -> str:
    return f"{SHARED} {visible(token)}" if plain_string(token) in shared else visible(token)


def _words(shared: SharedTokens) -> str:
    first, second = map(plain, shared.prompts)
    made = f"{METRIC_NAMES[shared.metric]}, k {shared.k}"
    if not shared.shared:
        return (
            f"**{first}** and **{second}** share none of the {shared.union:,} token strings among "
            f"their nearest ({made})."
        )
    return (
        f"**{first}** and **{second}** share **{len(shared.shared)} of {shared.union:,}** token "
        f"strings among their nearest: Jaccard {shared.jaccard:.3f} ({made})."
    )


def _starts(pool: Pool, pair: Pair) -> str:
    """How many of their positions began from the same token, as a sentence."""
    both = [pool.prompts[one] for one in pair]
    shared = shared_starts(recorded_starts(both))
    words = start_words(int(shared[0, 1]), min(map(len, both)))
    return f"{words[0].upper()}{words[1:]}."


def _draw_sides(decodings: list[Decoding], shared: Collection[str]) -> None:
    config = {
        "#": st.column_config.NumberColumn(width=40),
        "nearest token": st.column_config.TextColumn(width=120),
        "score": st.column_config.TextColumn(width=60),
        "further tokens": st.column_config.TextColumn(width=330),
    }
    for side, column in zip(decodings, st.columns(2, gap="medium"), strict=True):
        with column:
            st.caption(plain(side.prompt))
            st.dataframe(
                side_table(side, shared), hide_index=True, column_config=config,
                height=38 + 35 * min(len(side.positions), 12),
                alt=f"Nearest tokens of {side.prompt}; {SHARED} marks those of both",
            )  # fmt: skip
    st.caption(f"{SHARED} stands before a token that both prompts have, at whichever position.")


def _draw_joint(shared: SharedTokens) -> None:
    if not shared.shared:
        st.caption("There is no token to list.")
        return
    names = {"positions 1": "positions of the first", "positions 2": "positions of the second"}
    st.dataframe(
        shared.to_frame(), hide_index=True, height=38 + 35 * min(len(shared.shared), 12),
        column_config={old: st.column_config.TextColumn(new) for old, new in names.items()},
        alt="Tokens that both prompts have, with their positions",
    )  # fmt: skip


def _draw_positions(pool: Pool, pair: Pair, *, change: bool) -> None:
    first, second = both = [pool.prompts[one] for one in pair]
    rows = [changes_since_start(one, pool.vocabulary) if change else one.embeddings for one in both]
    view = position_view(
        *rows, names=(first.name, second.name), starts=recorded_starts(both), change=change
    )
    alt = f"Cosine of every position of {first.name} with every position of {second.name}"
    draw_figure(position_view_map(view), "positions", alt, tools=True)
    st.markdown(positions_sentence(view, strong="**"))


def _draw_ways_on(pool: Pool, pair: Pair) -> None:
    with st.container(horizontal=True):
        for one in pair:
            if st.button(
                f"Decode {plain(pool.ids[one])}", icon=":material/translate:", key=f"go_{one}",
                on_click=show_in_decode, args=(pool.ids[one],),
            ):  # fmt: skip
                st.switch_page("dashboard/decode/page.py", query_params={})
        if st.button(
            "Both on the map", icon=":material/scatter_plot:", key="go_map",
            on_click=choose, args=([pool.ids[one] for one in pair],),
        ):  # fmt: skip
            st.switch_page("dashboard/map/page.py", query_params={})
