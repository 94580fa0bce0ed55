"""The map with its search and the details of a point; they run again without the page."""

from __future__ import annotations

import streamlit as st

from dashboard.map.points import (
    Groups,
    Point,
    near_rows,
    near_tokens,
    point_label,
    point_of,
    row_id,
    selection_table,
    tokens_with,
)
from dashboard.map.resources import figure_of
from dashboard.shared.exports import draw_download
from dashboard.shared.markdown import plain
from dashboard.shared.sidebar import chosen_metric, show_in_decode
from probe.analysis.layouts import METHOD_NAMES
from probe.analysis.maps import Map
from probe.analysis.neighbours import METRIC_NAMES
from probe.linalg import squared_norms
from probe.reports.spreadsheets import csv_with


def made_with(mapped: Map) -> dict[str, object]:
    """How a map was made, for the tables made of it."""
    return {
        "model": mapped.model,
        "method": mapped.method,
        "change": mapped.change,
        "metric": mapped.metric,
        "seed": mapped.seed,
        "vocabulary_rows": len(mapped.background),
        "trustworthiness": round(mapped.trustworthiness, 4),
        "trustworthiness_sample": mapped.trust_sample,
    }


@st.fragment
def draw_map(mapped: Map, groups: Groups | None) -> None:
    """Search, map, details of the picked point, and the table of what was lassoed."""
    _forget_others(mapped)
    left, right = st.columns([8, 5], gap="medium")
    with right:
        words = st.text_input(
            "Find a token", key="q", bind="query-params", persist_state="session",
            placeholder="great", on_change=_searched, icon=":material/search:",
        )  # fmt: skip
        found = tokens_with(mapped.vocabulary, words)
        if words:
            _draw_found(mapped, words, found)
    with left:
        _draw_chart(mapped, groups, tuple(found))
    with right:
        _draw_details(mapped, found)
    _draw_selection(mapped)


def _forget_others(mapped: Map) -> None:
    """Drop what was picked among other prompts: a point's id counts prompts, not names them."""
    prompts = mapped.prompts, mapped.model
    if st.session_state.setdefault("map_picked_of", prompts) != prompts:
        st.session_state["map_picked_of"] = prompts
        st.session_state["look"] = None
        _clear()


def _draw_found(mapped: Map, words: str, found: list[int]) -> None:
    if st.session_state.pop("map_searched", False) and found:
        st.session_state["look"] = f"v:{found[0]}"
    many = f"{len(found)} tokens contain" if len(found) != 1 else "1 token contains"
    shown = " ".join(mapped.vocabulary.tokens[i] for i in found[:12])
    more = " …" if len(found) > 12 else ""
    st.markdown(
        f"{many} **{plain(words)}**: {plain(shown)}{more}"
        if found
        else f"No token contains **{plain(words)}**: try fewer letters."
    )


def _draw_chart(mapped: Map, groups: Groups | None, found: tuple[int, ...]) -> None:
    st.plotly_chart(
        figure_of(mapped, groups, found),
        key=f"map_{st.session_state.setdefault('map_cleared', 0)}",
        on_select=_picked,
        selection_mode=["points", "box", "lasso"],
        config={
            "displaylogo": False,
            "displayModeBar": True,
            "modeBarButtonsToRemove": ["zoom2d", "autoScale2d"],
            "scrollZoom": True,
            "toImageButtonOptions": {
                "filename": f"map-{mapped.method}-{mapped.metric}-seed{mapped.seed}", "scale": 2
            },
        },
        alt=f"Map of {len(mapped.points)} prompt rows among {len(mapped.background):,} tokens by "
        f"{METHOD_NAMES[mapped.method]}; every point can also be chosen in the list beside it",
    )  # fmt: skip
    st.caption(plain(" ".join(mapped.headline())))


def _draw_details(mapped: Map, found: list[int]) -> None:
    point = _pick(mapped, found)
    metric = chosen_metric()
    if point is None:
        st.markdown(
            "Click a point, search a token, or choose a row above: its nearest neighbours **in the "
            "original space** appear here. The lasso and the box in the corner of the map list "
            "many points at once."
        )
        return
    tokens = near_tokens(mapped, point, metric)
    rows, near = near_rows(mapped, point, metric)
    st.markdown(f"**{plain(point_label(mapped, point.id))}** · {_facts(mapped, point)}")
    st.caption(f"Nearest tokens by {METRIC_NAMES[metric]}, in {mapped.rows.shape[1]} dimensions")
    digits = "%.3f" if metric == "cosine" else "%.4g"
    score = {"score": st.column_config.NumberColumn(format=digits, width=70)}
    st.dataframe(
        tokens, hide_index=True, column_config=score, height=38 + 35 * 6,
        alt="Nearest tokens in the original space",
    )  # fmt: skip
    if len(rows):
        st.caption("Nearest rows of prompts")
        st.dataframe(
            rows, hide_index=True, column_config=score, height=38 + 35 * min(len(rows), 3),
            alt="Nearest prompt rows in the original space",
        )  # fmt: skip
    _draw_way_on(mapped, point, near)


def _draw_way_on(mapped: Map, point: Point, near: list[int]) -> None:
    row = point.row if point.row >= 0 else next(iter(near), None)
    label = "Open in Decode" if point.row >= 0 else "Open the nearest row in Decode"
    if row is not None and st.button(
        label, icon=":material/translate:", key="open", width="stretch", on_click=show_in_decode,
        args=(mapped.prompts[mapped.owners[row]], int(mapped.positions[row])),
    ):  # fmt: skip
        st.switch_page("dashboard/decode/page.py", query_params={})


def _pick(mapped: Map, found: list[int]) -> Point | None:
    """The point to look at, kept in the address."""
    options = [row_id(mapped, row) for row in range(len(mapped.rows))]
    options += [f"v:{i}" for i in found]
    if "look" not in st.session_state:
        st.session_state["look"] = st.query_params.get("at")
    point = point_of(mapped, st.session_state["look"])
    st.session_state["look"] = point.id if point else None
    if point and point.id not in options:
        options.append(point.id)
    chosen = st.selectbox(
        "Inspect", options, key="look", index=None, persist_state="session",
        format_func=lambda id_: point_label(mapped, id_),
        placeholder="Click a point, or choose a row",
    )  # fmt: skip
    if chosen:
        st.query_params["at"] = chosen
    else:
        st.query_params.pop("at", None)
    return point_of(mapped, chosen)


def _draw_selection(mapped: Map) -> None:
    table = selection_table(mapped, st.session_state.get("lassoed", []))
    if table.empty:
        return
    rows = int(table["prompt"].notna().sum())
    st.markdown(f"**{len(table):,} points selected**: {rows:,} prompt rows and "
                f"{len(table) - rows:,} tokens.")  # fmt: skip
    st.dataframe(
        table, hide_index=True, height=38 + 35 * min(len(table), 8), key="lassoed_table",
        placeholder="", alt="The selected points with their nearest tokens",
        column_config={
            "position": st.column_config.NumberColumn(width=70),
            "x": st.column_config.NumberColumn(format="%.3f", width=80),
            "y": st.column_config.NumberColumn(format="%.3f", width=80),
            "nearest": st.column_config.TextColumn("nearest tokens, original space", width=330),
        },
    )  # fmt: skip
    made = made_with(mapped)
    with st.container(horizontal=True):
        draw_download(
            "Selection as CSV", "selection.csv", lambda: csv_with(table, made),
            key="export_selection",
        )  # fmt: skip
        st.button("Clear the selection", icon=":material/close:", on_click=_clear)


def _facts(mapped: Map, point: Point) -> str:
    row = mapped.rows[[point.row]] if point.row >= 0 else mapped.vocabulary.rows([point.token])
    return f"norm {float(squared_norms(row)[0]) ** 0.5:.3g}"


def _searched() -> None:
    st.session_state["map_searched"] = True


def _picked() -> None:
    """A single point is looked at, several are listed."""
    chart = st.session_state[f"map_{st.session_state['map_cleared']}"]
    ids = dict.fromkeys(p["customdata"][0] for p in chart.selection.points if "customdata" in p)
    if len(ids) == 1:
        st.session_state["look"] = next(iter(ids))
    st.session_state["lassoed"] = list(ids) if len(ids) > 1 else []


def _clear() -> None:
    st.session_state["lassoed"] = []
    # Another key is the only way to clear a chart.
    st.session_state["map_cleared"] = st.session_state.get("map_cleared", 0) + 1
