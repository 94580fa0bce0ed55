"""Library: what prompts do I have?"""

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st

from dashboard.library.table import COLUMNS, library_table, size_of
from dashboard.library.token_search import draw_token
from dashboard.library.upload import draw_upload
from dashboard.shared.errors import attempt
from dashboard.shared.exports import draw_settings
from dashboard.shared.heading import draw_explanation, draw_figure, draw_heading, paint_now
from dashboard.shared.markdown import plain
from dashboard.shared.note import draw_note
from dashboard.shared.public_demo import is_public
from dashboard.shared.resources import (
    Entry,
    decoding,
    is_local,
    library,
    norm_range,
    prompt_of,
    workspace,
)
from dashboard.shared.sidebar import choose, choose_on_own
from dashboard.shared.token_strip import draw_decode_strip
from probe.charts import norm_bars
from probe.errors import ProbeError
from probe.reports.headlines import library_headline
from probe.reports.token_strips import LEGEND, nearest_strip
from probe.requests.train_methods import method_words
from probe.texts import counted


def draw_search(entries: list[Entry]) -> list[Entry]:
    """The search box, the tag filter and the button that adds prompts."""
    box, tags, add = st.columns([3, 3, 2], vertical_alignment="bottom", gap="medium")
    words = box.text_input(
        "Search", key="find", bind="query-params", placeholder="name, task, model, method, token …",
        persist_state="session",
    )  # fmt: skip
    every = sorted({tag for entry in entries for tag in entry.card.tags})
    wanted = tags.multiselect(
        "Tags", every, key="tag", bind="query-params", persist_state="session", placeholder="any"
    )
    with add.popover("Add a prompt", icon=":material/upload:", type="primary", width="stretch"):
        draw_upload()
    return [
        entry
        for entry in entries
        if entry.card.matches(words) and set(wanted) <= set(entry.card.tags)
    ]


def draw_table(entries: list[Entry]) -> list[Entry]:
    """The sortable table; returns the entries of the selected rows."""
    # Rows are remembered by number, so another selection of rows is another table.
    key = f"library_{hash(tuple(entry.id for entry in entries))}"
    event = st.dataframe(
        library_table(entries),
        column_config=COLUMNS,
        hide_index=True,
        height=38 + 35 * min(max(len(entries), 1), 12),
        on_select=lambda: _choose_selected(key, [entry.id for entry in entries]),
        selection_mode="multi-row",
        key=key,
        placeholder="",
        alt="All prompts of the library",
    )
    return [entries[row] for row in event.selection.rows if row < len(entries)]


def draw_several(picked: list[Entry]) -> None:
    """The ways on for several prompts together."""
    title, compare, on_map = st.columns([3, 1, 1], vertical_alignment="center")
    title.subheader(f"{counted(len(picked), 'prompt')} selected", anchor=False)
    for column, label, icon, page in (
        (compare, "Compare them", ":material/compare_arrows:", "compare"),
        (on_map, "Show on the map", ":material/scatter_plot:", "map"),
    ):
        if column.button(
            label, icon=icon, width="stretch", type="primary" if page == "compare" else "secondary",
            on_click=choose, args=([entry.id for entry in picked],),
        ):  # fmt: skip
            st.switch_page(f"dashboard/{page}/page.py", query_params={})
    st.caption(plain(", ".join(entry.id for entry in picked)))


def draw_detail(entry: Entry) -> None:
    """Where a prompt comes from, what it is made of, and the way on."""
    title, button = st.columns([4, 1], vertical_alignment="center")
    title.subheader(plain(entry.id), anchor=False)
    if button.button(
        "Open in Decode", icon=":material/translate:", type="primary", width="stretch",
        on_click=choose_on_own if entry.card.base_model else choose, args=([entry.id],),
    ):  # fmt: skip
        st.switch_page("dashboard/decode/page.py", query_params={})
    draw_note(entry)
    _draw_tokens(entry)
    left, right = st.columns([2, 3], gap="large")
    with left:
        _draw_facts(entry)
    with right:
        _draw_norms(entry)
    _draw_tags(entry)
    _draw_config(entry)


def _draw_tokens(entry: Entry) -> None:
    """Its nearest tokens as text, where its model is here; Decode says why there are none."""
    model = entry.card.base_model
    if entry.card.kind == "kv_prefix" or model is None or not is_local(model):
        return
    with suppress(ProbeError):
        found = decoding(entry, model, metric="cosine", k=5, filters=(), one_to_one=False)
        draw_decode_strip(
            "The token nearest to each row, in order; click one to see it in Decode",
            entry.id, nearest_strip(found), on_own=True,
        )  # fmt: skip
        st.caption(LEGEND)


def _draw_facts(entry: Entry) -> None:
    card = entry.card
    scores = {
        name[:1].upper() + name[1:].replace("_", " "): _number(value)
        for name, value in card.metrics.items()
    }
    facts = scores | {
        "Size": size_of(entry),
        "Method": method_words(card.method),
        "Task": card.task,
        "Base model": card.base_model,
        "Half": card.submodule,
        "Trained": None if card.trained else "no: training never reached these rows",
        "Read from": card.origin,
        "Format": card.format,
        "Added": card.created.replace("T", " ").removesuffix("+00:00") + " UTC"
        if card.created
        else None,
    }
    with st.container(gap="xxsmall", key="facts"):
        for name, value in facts.items():
            if value:
                label, text = st.columns([1, 2], gap="small")
                label.caption(plain(name))
                text.text(str(value))
    if card.sha256:
        st.caption("sha256 of the file")
        st.code(card.sha256, language=None, wrap_lines=True)


def _draw_norms(entry: Entry) -> None:
    prompt = prompt_of(entry)
    model = entry.card.base_model
    comparable = entry.card.kind == "soft_prompt" and model is not None and is_local(model)
    beside = norm_range(entry, model) if comparable and model else None
    draw_figure(
        norm_bars([float(norm) for norm in prompt.norms], vocabulary_range=beside),
        "norms",
        f"Norm of each of the {counted(len(prompt), 'position')} of {entry.id}",
    )


def _draw_tags(entry: Entry) -> None:
    if entry.source == "sample" or is_public():
        return
    known = sorted({tag for other in library() for tag in other.card.tags})
    st.multiselect(
        "Tags of this prompt",
        sorted({*known, *entry.card.tags}),
        default=entry.card.tags,
        accept_new_options=True,
        key=f"tags_{entry.id}",
        on_change=_retag,
        args=(entry,),
        placeholder="Type a tag and press Enter",
    )


def _draw_config(entry: Entry) -> None:
    config = prompt_of(entry).config
    if config:
        with st.expander("Configuration stored with the prompt"):
            draw_settings(config)


def _retag(entry: Entry) -> None:
    wanted = set(st.session_state[f"tags_{entry.id}"])
    before = set(entry.card.tags)
    if added := sorted(wanted - before):
        attempt(lambda: workspace().tag(entry.id, *added))
    if dropped := sorted(before - wanted):
        attempt(lambda: workspace().untag(entry.id, *dropped))


def _choose_selected(key: str, ids: Sequence[str]) -> None:
    """The ticked prompts are those of the other pages; without any, the last ones stay."""
    rows = st.session_state[key].selection.rows
    if chosen := [ids[row] for row in rows if row < len(ids)]:
        choose(chosen)


def _number(value: object) -> str:
    if isinstance(value, list | tuple) and len(value) == 2:  # the ends of an interval
        return " to ".join(map(_number, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def draw_empty() -> None:
    """What to do when there is nothing at all."""
    with st.container(border=True):
        st.subheader("No prompts yet", anchor=False)
        st.markdown(
            "Add a trained soft prompt: a PEFT adapter, a `.npy`, `.pt` or `.safetensors` file, or "
            "any of the formats the readers know."
        )
        draw_upload()


draw_heading("Library", "What prompts do I have?")
if entries := library():
    rows = [
        {"where": "workspace" if one.source == "yours" else "sample", "task": one.card.task}
        for one in entries
    ]
    st.markdown(" ".join(library_headline(rows)))
    paint_now(("library", len(entries)))
    shown = draw_search(entries)
    st.caption(  # between the table, whose tools appear above it, and the buttons
        f"{len(shown):,} shown. Select a row to see where a prompt comes from; select two or more "
        "to compare them. Selected prompts are chosen for the other pages, too."
    )
    if shown:
        picked = draw_table(shown)
        if len(picked) == 1:
            draw_detail(picked[0])
        elif picked:
            draw_several(picked)
    else:
        draw_token(st.session_state["find"], entries)
    draw_explanation("library")
else:
    draw_empty()
