"""Compare: how do prompts differ?"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.compare.pair import choose_pair, draw_pair
from dashboard.compare.resources import comparison_of, refusals
from dashboard.compare.transfer import draw_transfer
from dashboard.shared.exports import draw_downloads
from dashboard.shared.heading import draw_explanation, draw_figure, draw_heading, paint_now
from dashboard.shared.markdown import plain
from dashboard.shared.prompt_pool import (
    Pool,
    chosen_entries,
    draw_notes,
    draw_of_rows,
    pool_of,
    pool_of_changes,
)
from dashboard.shared.sidebar import OWN, chosen_base, chosen_metric, read_address
from probe.analysis.compare import (
    MEASURES,
    Comparison,
    Hierarchy,
    Measure,
)
from probe.analysis.neighbours import Metric
from probe.charts import closeness_bars, figures_html, similarity_map, visible
from probe.measures import measure_name
from probe.reports.headlines import comparison_headline, pair_scale
from probe.reports.spreadsheets import csv_with
from probe.requests import CompareRequest, help_of
from probe.texts import counted

MOST_BARS = 15
MOST_PAIRS = 100


def draw_options() -> tuple[Measure, bool, bool, int]:
    """The measure, whether to centre, what of the rows, and how many tokens stand for one."""
    which, tokens, what, centred = st.columns(
        [3, 2, 4, 2], vertical_alignment="bottom", gap="medium"
    )
    read_address("measure", {one: measure_name(one) for one in MEASURES})
    measure = which.selectbox(
        "Measure", list(MEASURES), key="measure", bind="query-params", persist_state="session",
        format_func=measure_name,
        help="\n".join(f"- **{measure_name(one)}**: {f.meaning}" for one, f in MEASURES.items()),
    )  # fmt: skip
    k = tokens.slider(
        "Neighbours, k", 1, 20, 5, key="k", bind="query-params", persist_state="session",
        help="Tokens per position, of Jaccard overlap and of the decodings below.",
    )  # fmt: skip
    of_rows = MEASURES[measure].of_rows is not None
    with what:
        change = draw_of_rows(disabled=not of_rows)
    centre = centred.toggle(
        "Centre", key="centre", bind="query-params", persist_state="session",
        disabled=not of_rows,
        help=f"{help_of(CompareRequest, 'centre')} Rows of one table share a direction that makes "
        "every two prompts look alike.",
    )  # fmt: skip
    return measure, of_rows and bool(centre), change, k


def draw_refusals(refused: Mapping[Measure, str], chosen: Measure) -> None:
    """Which measures are not defined for these prompts, a line per reason."""
    if chosen in refused:
        st.warning(
            f"{plain(refused[chosen])}. The rest of the page goes on without it.",
            icon=":material/block:",
        )
    reasons: dict[str, list[str]] = {}
    for measure, why in refused.items():
        reasons.setdefault(why.removeprefix(measure).strip(), []).append(measure_name(measure))
    for why, measures in reasons.items():
        verb = why if len(measures) == 1 else why.replace("needs ", "need ", 1)
        st.caption(f"Not for these prompts: {plain(', '.join(measures))} {plain(verb)}.")


def draw_matrix(found: Comparison, tree: Hierarchy, pool: Pool) -> None:
    """The reordered matrix with its tree, and the closest pairs as a list."""
    left, right = st.columns([5, 4], gap="medium")
    with left:
        st.plotly_chart(
            _figure(found, tree),
            key="matrix",
            on_select=_picked,
            selection_mode="points",
            config={"displaylogo": False, "toImageButtonOptions": {"filename": found.measure}},
            alt=f"{measure_name(found.measure)} between every two of {len(pool.ids)} prompts, "
            "alike ones beside each other; the pairs are also listed beside it",
        )
        st.caption("Alike prompts stand together. Click a cell to see the two prompts below.")
    with right:
        st.caption("Closest pairs")
        pairs = [
            (visible(pool.ids[i]), visible(pool.ids[j]), v, _shared(found, i, j))
            for i, j, v in found.nearest
        ]
        st.dataframe(
            pd.DataFrame(pairs[:MOST_PAIRS], columns=["first", "second", "value", "starts"]),
            hide_index=True, height=38 + 35 * min(len(pairs), 12),
            column_config={
                "first": st.column_config.TextColumn(width=150),
                "second": st.column_config.TextColumn(width=150),
                "value": st.column_config.NumberColumn(format="%.4g", width=62),
                "starts": st.column_config.TextColumn(
                    "same start", width=78,
                    help="Positions that began from the same token in both: a likeness that was "
                    "there before training. –: a file does not say.",
                ),
            },
            alt="The closest pairs, closest first, and how many positions began alike",
        )  # fmt: skip


def _shared(found: Comparison, i: int, j: int) -> str:
    shared = int(found.shared_starts[i, j])
    return "–" if shared < 0 else f"{shared} of {min(found.lengths[i], found.lengths[j])}"


def draw_bars(pool: Pool, prompt: int, metric: Metric, k: int) -> None:
    """The prompts whose decodings share most with that of one."""
    if len(pool.entries) < 3:
        return
    found, _ = comparison_of(pool, "jaccard", centre=False, change=False, metric=metric, k=k)
    st.subheader("Who shares its tokens?", anchor=False)
    most = f", the closest {MOST_BARS}" if len(pool.entries) > MOST_BARS + 1 else ""
    st.caption(
        f"Shared part of the decoded token strings (Jaccard, k {k}): {plain(pool.ids[prompt])} "
        f"against the others{most}"
    )
    alt = f"Jaccard overlap of the tokens of {pool.ids[prompt]} with those of other prompts"
    draw_figure(closeness_bars(found, prompt, most=MOST_BARS), "jaccard", alt, tools=True)


def draw_exports(found: Comparison, tree: Hierarchy, pool: Pool, made: dict[str, object]) -> None:
    """The comparison to take along."""
    rows = [
        (pool.ids[i], pool.ids[j], float(found.matrix[i, j]))
        for i in range(len(pool.ids))
        for j in range(i, len(pool.ids))
    ]
    table = pd.DataFrame(rows, columns=["first", "second", "value"])
    how = " · ".join(f"{name.replace('_', ' ')}: {value}" for name, value in made.items())
    state = {
        name: st.session_state.get(name)
        for name in ("m", "model", "model_id", "measure", "centre", "of", "k", "a", "b", "pair")
    }
    draw_downloads(
        f"compare-{found.measure}",
        {
            "csv": lambda: csv_with(table, made),
            "json": lambda: found.to_json() | {"made_with": made, "order": list(tree.order)},
            "html": lambda: figures_html(
                f"{counted(len(pool.ids), 'prompt')} compared",
                {measure_name(found.measure): similarity_map(found, tree)},
                made=how,
            ),
        },
        {"p": pool.ids} | state,
    )  # fmt: skip
    st.caption("The camera above a figure saves it as a PNG.")


def _in_words(measure: Measure) -> str:
    facts = MEASURES[measure]
    closer = "higher" if facts.higher_is_closer else "lower"
    return (
        f"- **{measure_name(measure)}** ({closer} is closer; needs the same {facts.needs}): "
        f"{facts.meaning}."
    )


def _picked() -> None:
    """Look at the two prompts of the clicked cell; the diagonal has only one."""
    points = st.session_state["matrix"].selection.points
    if points and points[0]["customdata"][0] != points[0]["customdata"][1]:
        ids = st.session_state["compared"]
        st.session_state["a"], st.session_state["b"] = (
            ids[int(i)] for i in points[0]["customdata"][:2]
        )


@st.cache_resource(show_spinner=False, max_entries=32)
def _figure(found: Comparison, tree: Hierarchy) -> Any:
    """The matrix's figure; nobody may change what this returns."""
    return similarity_map(found, tree)


def _scale(pool: Pool, measure: Measure, metric: Metric, k: int) -> list[str]:
    """What the likeness of two prompts is beside that of others, where there are any."""
    beside = pool_of(pool.entries, least=3)
    if beside is None or not beside.added or measure in refusals(beside):
        return []
    found, _ = comparison_of(beside, measure, centre=False, change=False, metric=metric, k=k)
    return [pair_scale(found)]


def draw(pool: Pool) -> None:
    """The whole page for two prompts or more."""
    metric = chosen_metric()
    measure, centre, change, k = draw_options()
    known = pool_of_changes(pool, least=2, done="compared") if change else None
    pool, change = known or pool, known is not None
    st.session_state["compared"] = pool.ids
    refused = refusals(pool)
    draw_refusals(refused, measure)
    nearest, shown = (0, 1), None
    if measure not in refused:
        shown = comparison_of(
            pool, measure, centre=centre, change=change, metric=metric, k=k
        )  # fmt: skip
        only = 0 if pool.added and pool.added == len(pool.ids) - 1 else None
        nearest = next(pair[:2] for pair in shown[0].nearest if only in (None, *pair[:2]))
        words, *worth = comparison_headline(
            replace(shown[0], prompts=tuple(map(plain, pool.ids))), strong="**", of=only
        )
        if len(pool.ids) == 2 and not (centre or change):
            worth += _scale(pool, measure, metric, k)
        with head:
            st.subheader(words, anchor=False)
            st.markdown(" ".join(worth))
    with head:
        draw_notes(pool)
    paint_now(("compare", pool.ids, measure, centre, change))
    if shown and len(pool.entries) > 2:
        draw_matrix(*shown, pool)
    st.subheader("Two of them, side by side", anchor=False)
    pair = choose_pair(pool, nearest)
    draw_pair(pool, pair, metric, k, change=change)
    draw_bars(pool, pair[0], metric, k)
    st.subheader("Do they work on other tasks?", anchor=False)
    draw_transfer(pool, own_model=chosen_base() == OWN)
    if shown:
        made = {"model": pool.model, "measure": measure, "centre": centre, "change": change,
                "metric": metric, "k": k, "prompts": len(pool.ids)}  # fmt: skip
        draw_exports(*shown, pool, made)
    draw_explanation("compare", "\n".join(map(_in_words, MEASURES)))


draw_heading("Compare", "How do prompts differ, and are they alike where their tasks are?")
head = st.container()
if (chosen := chosen_entries()) and (found := pool_of(chosen, least=2)):
    if len(found.entries) < 2:
        st.info(
            "A comparison needs two prompts of one base model. Choose another in the sidebar, or "
            "add a file in the Library.",
            icon=":material/compare_arrows:",
        )
    else:
        draw(found)
