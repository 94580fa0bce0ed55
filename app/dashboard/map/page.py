"""Map: where do prompts sit relative to the vocabulary?"""

from typing import Any

import streamlit as st

from dashboard.map.panel import draw_map, made_with
from dashboard.map.points import FACTS, cluster_name, groups_of_clusters, groups_of_facts
from dashboard.map.resources import clusters_of, map_of, mixing_of
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
from dashboard.shared.side_jobs import draw_job, draw_start
from dashboard.shared.sidebar import OWN, chosen_base, chosen_metric, read_address
from probe.analysis.clusters import Clusters
from probe.analysis.layouts import METHOD_NAMES, METHODS, MapMetric, Method
from probe.analysis.maps import Map
from probe.analysis.starts import shared_starts_sentence
from probe.charts import figures_html, map_figure, variance_bars
from probe.reports.headlines import clusters_headline
from probe.reports.spreadsheets import csv_with
from probe.requests import MapRequest, help_of

# Seconds on one idle core: UMAP by vocabulary rows, t-SNE of the 4,000 rows it draws.
UMAP_S, TSNE_S = (20.0, 0.0025), 60.0


def draw_options() -> tuple[Method, MapMetric, int, str, bool]:
    """Projection, metric, seed, what colours mean, and whether to map displacements."""
    how, what, colour, number = st.columns([3, 3, 2, 2], vertical_alignment="bottom", gap="small")
    read_address("proj", METHOD_NAMES)
    method = how.segmented_control(
        "Projection", METHODS, default="pca", required=True, key="proj", bind="query-params",
        persist_state="session", width="stretch", format_func=METHOD_NAMES.__getitem__,
        help=help_of(MapRequest, "method"),
    )  # fmt: skip
    seed = number.number_input(
        "Seed", 0, 9999, 0, key="seed", bind="query-params", persist_state="session",
        help=help_of(MapRequest, "seed"),
    )  # fmt: skip
    by = colour.selectbox(
        "Colour by", ("prompt", "cluster", *FACTS), key="colour", bind="query-params",
        persist_state="session",
        help="Clusters are k-means over prompt rows in the original space, never over the map.",
    )  # fmt: skip
    with what:
        change = draw_of_rows()
    metric: MapMetric = "l2" if chosen_metric() == "l2" else "cosine"
    if chosen_metric() == "dot":
        st.caption("There is no map by dot product: this one is by cosine.")
    return method, metric, int(seed), str(by), change


def draw_missing(pool: Pool, method: Method, metric: MapMetric, seed: int, *, change: bool) -> None:
    """Begin to compute a layout that takes long, and show how far it is."""
    own = chosen_base() == OWN
    arguments = (
        "map", "--method", method, "--metric", metric, "--seed", str(seed), "--json",
        *(("--change",) if change else ()), *(() if own else ("--model", pool.model)),
        "--", *pool.ids,
    )  # fmt: skip
    expected = TSNE_S if method == "tsne" else UMAP_S[0] + UMAP_S[1] * len(pool.vocabulary)
    with st.container(border=True):
        if draw_job(arguments, METHOD_NAMES[method], expected):
            return
        st.markdown(
            f"**{METHOD_NAMES[method]}** of {sum(map(len, pool.prompts)):,} prompt rows among "
            f"{'4,000 drawn' if method == 'tsne' else format(len(pool.vocabulary), ',')} tokens "
            f"takes about {expected:.0f} s. It is computed once and kept; PCA is there meanwhile."
        )
        draw_start(f"Compute {METHOD_NAMES[method]}", arguments, at_once=True)


def draw_clusters(found: Clusters) -> None:
    """The clusters by the tokens nearest to their centres."""
    st.markdown(" ".join(clusters_headline(found, strong="**")))
    st.dataframe(
        [
            {
                "cluster": cluster_name(one),
                "rows": one.size,
                "nearest tokens": "  ".join(one.tokens),
                "prompts": sum(count > 0 for count in one.members),
            }
            for one in found.clusters
        ],
        hide_index=True,
        alt="Clusters of prompt rows with the tokens nearest to their centres",
        column_config={
            "rows": st.column_config.NumberColumn(width=60),
            "prompts": st.column_config.NumberColumn(
                width=75, help="Prompts with a row in the cluster"
            ),
        },
    )


def draw_exports(mapped: Map, clusters: Clusters | None, pool: Pool) -> None:
    """The map to take along."""
    caption = " ".join(mapped.headline())

    def page() -> str:
        figures = {"Map": map_figure(mapped)}
        if mapped.spectrum:
            figures["Shares of variance"] = variance_bars(mapped)
        return figures_html(f"Map of {', '.join(mapped.prompts[:6])}", figures, made=caption)

    def document() -> dict[str, Any]:
        grouped = {} if clusters is None else {"clusters": clusters.to_json()}
        return mapped.to_json() | grouped

    draw_downloads(
        f"map-{mapped.method}-{mapped.metric}-seed{mapped.seed}",
        {
            "csv": lambda: csv_with(mapped.to_frame(), made_with(mapped)),
            "json": document,
            "html": page,
        },
        {"p": pool.ids, "at": st.query_params.get("at")}
        | {name: st.session_state.get(name) for name in
           ("m", "model", "model_id", "proj", "of", "seed", "colour", "q")},
    )  # fmt: skip
    st.caption("The camera above the map saves it as a PNG.")


def draw(pool: Pool) -> None:
    """The whole page for some prompts."""
    method, metric, seed, by, change = draw_options()
    known = pool_of_changes(pool, least=1, done="mapped") if change else None
    pool, change = known or pool, known is not None
    words, *worth = mixing_of(pool, metric, change=change).headline()
    if not change and (alike := shared_starts_sentence(pool.prompts)):
        worth.append(alike)
    with head:
        st.subheader(words, anchor=False)
        st.markdown(" ".join(worth))
        draw_notes(pool)
    paint_now(("map", words))
    mapped = map_of(pool, method, metric, seed, change=change)
    if mapped is None:
        draw_missing(pool, method, metric, seed, change=change)
        mapped = map_of(pool, "pca", metric, seed, change=change)
        assert mapped is not None  # it never has to wait
    clusters = None
    if by == "cluster":
        try:
            clusters = clusters_of(pool, metric, seed, change=change)
        except ValueError as error:
            st.warning(plain(str(error)), icon=":material/scatter_plot:")
    groups = None if clusters is None else groups_of_clusters(clusters)
    draw_map(mapped, groups_of_facts(mapped, pool, by) if by in FACTS else groups)
    if clusters is not None:
        draw_clusters(clusters)
    if mapped.spectrum:
        with st.expander(
            f"The two axes hold {100 * sum(mapped.spectrum[:2]):.1f} % of the variance",
            icon=":material/bar_chart:",
        ):  # fmt: skip
            alt = "Shares of the variance of the first principal axes"
            draw_figure(variance_bars(mapped), "variance", alt)
    draw_exports(mapped, clusters, pool)
    draw_explanation("map")


draw_heading("Map", "Where do prompts sit relative to the vocabulary?")
head = st.container()
if (chosen := chosen_entries()) and (found := pool_of(chosen)):
    draw(found)
