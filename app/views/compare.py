"""Compare: how do prompts differ?"""

import json
from collections.abc import Mapping
from typing import Any, cast

import pandas as pd
import streamlit as st
from compare_pair import choose_pair, draw_pair
from compare_resources import comparison_of, refusals, same_task_closer
from compare_transfer import draw_transfer
from exports import draw_downloads
from pace import paint_now
from plain import plain
from pool import Key, Pool, chosen_entries, draw_notes, pool_of
from sidebar import OWN, chosen_metric

from probe.analysis.compare import MEASURES, Comparison, Hierarchy, Measure
from probe.analysis.neighbours import Metric
from probe.charts import closeness_bars, figures_html, similarity_map, visible
from probe.reports import csv_with

MOST_BARS = 15
MOST_PAIRS = 100
STATIC = {"displaylogo": False}


def draw_options() -> tuple[Measure, bool, int]:
    """The measure, whether to centre, and how many tokens a position is known by."""
    which, tokens, centred = st.columns([4, 3, 3], vertical_alignment="bottom", gap="medium")
    measure = which.selectbox(
        "Measure", list(MEASURES), key="measure", bind="query-params", persist_state="session",
        help="\n".join(f"- **{name}**: {facts.meaning}" for name, facts in MEASURES.items()),
    )  # fmt: skip
    k = tokens.slider(
        "Neighbours per position, k", 1, 20, 5, key="k", bind="query-params",
        persist_state="session", help="Of jaccard and of the decodings below.",
    )  # fmt: skip
    centre = centred.toggle(
        "Centre on the mean row", key="centre", bind="query-params", persist_state="session",
        disabled=MEASURES[measure].of_rows is None,
        help="Subtract the mean row of all prompts first. Rows of one table share a direction that "
        "makes every two prompts look alike.",
    )  # fmt: skip
    return cast(Measure, measure), bool(centre) and MEASURES[measure].of_rows is not None, k


def answer(found: Comparison, pool: Pool) -> tuple[str, str]:
    """The nearest pair, in a sentence, and what it is worth."""
    i, j, value = found.nearest[0]
    named = f"{plain(pool.ids[i])} and {plain(pool.ids[j])}"
    pairs = len(pool.entries) * (len(pool.entries) - 1) // 2
    centred = ", centred" if found.centre else ""
    closer = "higher" if found.higher_is_closer else "lower"
    measured = f"{MEASURES[found.measure].meaning}{centred}; {closer} is closer"
    if pairs == 1:
        return f"{named}: {value:.3g}.", f"{measured.capitalize()}."
    median = sorted(found.matrix[a, b] for a in range(len(pool.ids)) for b in range(a))[pairs // 2]
    first = f"{named} are the closest of {pairs:,} pairs: {value:.3g}."
    worth = f"{measured.capitalize()}. The median pair has {median:.3g}."
    if (told := same_task_closer(found, pool)) is not None:
        area, same, other = told
        worth += (
            f" A pair of prompts for one task is closer than a pair for two in **{area:.0%}** of "
            f"cases ({same:,} {'pair' if same == 1 else 'pairs'} against {other:,}; 50 % is "
            "guessing)."
        )
    return first, worth


def draw_refusals(refused: Mapping[Measure, str], chosen: Measure) -> None:
    """Which measures are not defined for these prompts, a line per reason."""
    if chosen in refused:
        st.warning(
            f"{plain(refused[chosen])}. The rest of the page goes on without it.",
            icon=":material/block:",
        )
    reasons: dict[str, list[str]] = {}
    for measure, why in refused.items():
        reasons.setdefault(why.removeprefix(measure).strip(), []).append(measure)
    for why, measures in reasons.items():
        st.caption(f"Not for these prompts: {plain(', '.join(measures))} {plain(why)}.")


def draw_matrix(found: Comparison, tree: Hierarchy, pool: Pool, made: tuple[Any, ...]) -> None:
    """The reordered matrix with its tree, and the closest pairs as a list."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.plotly_chart(
            _figure(pool.key, made, _found=found, _tree=tree),
            key="matrix",
            on_select=_picked,
            selection_mode="points",
            config={"displaylogo": False, "toImageButtonOptions": {"filename": found.measure}},
            alt=f"{found.measure} between every two of {len(pool.ids)} prompts, alike ones beside "
            "each other; the pairs are also listed beside it",
        )
        st.caption("Alike prompts stand together. Click a cell to see the two prompts below.")
    with right:
        st.caption("Closest pairs")
        pairs = [(visible(pool.ids[i]), visible(pool.ids[j]), v) for i, j, v in found.nearest]
        st.dataframe(
            pd.DataFrame(pairs[:MOST_PAIRS], columns=["first", "second", "value"]),
            hide_index=True, height=38 + 35 * min(len(pairs), 12),
            column_config={
                "first": st.column_config.TextColumn(width=105),
                "second": st.column_config.TextColumn(width=105),
                "value": st.column_config.NumberColumn(format="%.4g", width=80),
            },
            alt="The closest pairs, closest first",
        )  # fmt: skip


def draw_bars(pool: Pool, prompt: int, metric: Metric, k: int) -> None:
    """The prompts whose decodings share most with that of one."""
    if len(pool.entries) < 3:
        return
    found, _ = comparison_of(
        pool.key, pool.model, "jaccard", centre=False, metric=metric, k=k, _pool=pool
    )
    st.subheader("Who shares its tokens?", anchor=False)
    most = f", the closest {MOST_BARS}" if len(pool.entries) > MOST_BARS + 1 else ""
    st.caption(
        f"Shared part of the decoded token strings (Jaccard, k {k}): {plain(pool.ids[prompt])} "
        f"against the others{most}"
    )
    st.plotly_chart(
        closeness_bars(found, prompt, most=MOST_BARS), key="jaccard", config=STATIC,
        alt=f"Jaccard overlap of the tokens of {pool.ids[prompt]} with those of other prompts",
    )  # fmt: skip


def draw_exports(found: Comparison, tree: Hierarchy, pool: Pool, made: dict[str, object]) -> None:
    """The comparison to take along."""
    st.subheader("Take it along", anchor=False)
    rows = [
        (pool.ids[i], pool.ids[j], float(found.matrix[i, j]))
        for i in range(len(pool.ids))
        for j in range(i, len(pool.ids))
    ]
    table = pd.DataFrame(rows, columns=["first", "second", "value"])
    how = " · ".join(f"{name.replace('_', ' ')}: {value}" for name, value in made.items())
    state = {
        name: st.session_state.get(name)
        for name in ("m", "model", "model_id", "measure", "centre", "k", "a", "b", "pair")
    }
    draw_downloads(
        f"compare-{found.measure}",
        {
            "csv": lambda: csv_with(table, made),
            "json": lambda: json.dumps(
                found.to_json() | {"made_with": made, "order": list(tree.order)},
                ensure_ascii=False, indent=1,
            ),
            "html": lambda: figures_html(
                f"{len(pool.ids)} prompts compared",
                {found.measure.replace("_", " "): similarity_map(found, tree)},
                made=how,
            ),
        },
        {"p": pool.ids} | state,
    )  # fmt: skip
    st.caption("The camera above a figure saves it as a PNG.")


def draw_explanation() -> None:
    """How to read this page."""
    with st.expander("How to read this", icon=":material/menu_book:"):
        lines = (
            f"- **{name.replace('_', ' ')}** ({'higher' if f.higher_is_closer else 'lower'} is "
            f"closer; needs the same {f.needs}): {f.meaning}."
            for name, f in MEASURES.items()
        )
        st.markdown(
            "No measure is right for everything; a finding that holds under several is worth "
            "more. Rows of one embedding table share a common direction, so plain cosines are "
            "high between any two prompts: *centre* removes the mean row. With two prompts of one "
            "length, what is left of their means points in opposite ways, so centre only among "
            "several.\n\n" + "\n".join(lines) + "\n\n"
            "The tree joins the closest prompts first (average linkage). The share of pairs of one "
            "task that are closer is the area under the ROC curve; pairs share prompts, so they "
            "are not independent. *Transfer* asks the same examples of every prompt, in its own "
            "words for the task it was trained on, in the task's words elsewhere; gains are over "
            "the model alone in the same words."
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
def _figure(key: Key, made: tuple[Any, ...], *, _found: Comparison, _tree: Hierarchy) -> Any:  # noqa: ARG001
    """The matrix's figure; nobody may change what this returns."""
    return similarity_map(_found, _tree)


def draw(pool: Pool) -> None:
    """The whole page for two prompts or more."""
    metric = chosen_metric()
    measure, centre, k = draw_options()
    st.session_state["compared"] = pool.ids
    refused = refusals(pool)
    draw_refusals(refused, measure)
    nearest, shown = (0, 1), None
    if measure not in refused:
        shown = comparison_of(
            pool.key, pool.model, measure, centre=centre, metric=metric, k=k, _pool=pool
        )
        nearest = shown[0].nearest[0][:2]
        words, worth = answer(shown[0], pool)
        with head:
            st.subheader(words, anchor=False)
            st.markdown(worth)
    with head:
        draw_notes(pool)
    paint_now(("compare", pool.ids, measure, centre))
    if shown and len(pool.entries) > 2:
        asked = (metric, k) if measure == "jaccard" else ()
        draw_matrix(*shown, pool, (pool.model, measure, centre, *asked))
    st.subheader("Two of them, side by side", anchor=False)
    pair = choose_pair(pool, nearest)
    draw_pair(pool, pair, metric, k)
    draw_bars(pool, pair[0], metric, k)
    st.subheader("Do they work on other tasks?", anchor=False)
    draw_transfer(pool, own_model=st.session_state["model"] == OWN)
    if shown:
        made = {"model": pool.model, "measure": measure, "centre": centre, "metric": metric,
                "k": k, "prompts": len(pool.ids)}  # fmt: skip
        draw_exports(*shown, pool, made)
    draw_explanation()


st.title("Compare", anchor=False)
st.caption("How do prompts differ, and do they resemble each other where their tasks do?")
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
