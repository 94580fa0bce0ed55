"""Decode: which tokens is this prompt closest to, and does that mean anything?"""

import streamlit as st

from dashboard.decode.acting import draw_acting
from dashboard.decode.beside import draw_beside
from dashboard.decode.guess import draw_guess
from dashboard.decode.meaning import displacement_of, draw_answer, draw_displacement
from dashboard.decode.table import column_config, decoding_table, search
from dashboard.decode.try_it import draw_try_it
from dashboard.shared.exports import draw_downloads
from dashboard.shared.heading import draw_explanation, draw_figure, draw_heading, paint_now
from dashboard.shared.markdown import plain
from dashboard.shared.note import draw_note
from dashboard.shared.prompt_pool import chosen_entries
from dashboard.shared.resources import Entry, decoding, find, prompt_of, reading
from dashboard.shared.sidebar import chosen_metric, chosen_prompts, usable_model
from dashboard.shared.token_strip import draw_strip
from probe.analysis.decoding import Decoding
from probe.analysis.neighbours import METRIC_NAMES
from probe.charts import colour_meaning, neighbour_bars, position_rank_map, score_violins
from probe.prompt import KVPrefix
from probe.reports.decoding import FLAG_MEANINGS, decoding_csv, decoding_html
from probe.reports.token_strips import LEGEND, nearest_strip
from probe.requests import DecodeRequest, help_of

FILTERS = ("special", "byte", "unused", "words")


def pick_entry() -> Entry | None:
    """The prompt to show: the only one chosen, or one of several."""
    chosen = chosen_entries()
    if len(chosen) < 2:
        return chosen[0] if chosen else None
    names = {entry.id: entry for entry in chosen}
    return names[st.selectbox("Show", list(names), key="show", persist_state="session")]


def draw_options() -> tuple[int, tuple[str, ...], bool, str]:
    """The page's own choices: k, filters, one-to-one and the searched token."""
    search_box, slider, more = st.columns([3, 3, 2], vertical_alignment="bottom", gap="medium")
    words = search_box.text_input(
        "Find a token", key="q", bind="query-params", placeholder="great", persist_state="session"
    )
    k = slider.slider(
        "Neighbours per position, k", 1, 20, 5, key="k", bind="query-params",
        persist_state="session",
    )  # fmt: skip
    with more.popover("Filters", icon=":material/filter_alt:", width="stretch"):
        kinds = st.multiselect(
            "Kinds of tokens", FILTERS, key="f", bind="query-params", persist_state="session",
            help=help_of(DecodeRequest, "filter"),
        )  # fmt: skip
        pattern = st.text_input(
            "Only tokens that match", key="re", bind="query-params", persist_state="session",
            placeholder="regular expression, such as ^␣[a-z]+$",
        )  # fmt: skip
        once = st.toggle(
            "Use each token once", key="one", bind="query-params", persist_state="session",
            help=help_of(DecodeRequest, "one_to_one"),
        )  # fmt: skip
    return k, (*kinds, *([f"regex:{pattern}"] if pattern else [])), once, words


def draw_position(found: Decoding, *, first: bool) -> None:
    """Where the rows stand and what that is worth, then the tokens as text.

    Args:
        found: their nearest tokens.
        first: whether this is the page's answer, as nothing is known of what training changed.
    """
    words, *others = found.headline()
    if first:
        st.subheader(words, anchor=False)
    else:
        st.markdown(f"**{words}**")
    if others:
        st.markdown(" ".join(others))
    draw_strip(
        "The token nearest to each row, in order; click one to see its position below",
        nearest_strip(found), shown=_shown_position(), pick=_show_position,
    )  # fmt: skip
    st.caption(LEGEND)
    st.caption(_made_with(found))


def draw_readings(entry: Entry, model: str, found: Decoding) -> None:
    """The answer, then the readings by position and by displacement beside each other."""
    read = reading(entry, model)
    told = displacement_of(read)
    if told is None:
        draw_position(found, first=True)
        draw_beside(entry, model)
        return
    draw_answer(read, told)
    left, right = st.columns(2, gap="large")
    with left:
        draw_position(found, first=False)
        draw_beside(entry, model)
    with right:
        st.markdown("**What training added to them: row minus start.**")
        draw_displacement(told)


def draw_table(found: Decoding, words: str) -> None:
    """Tokens per position beside the controls."""
    cells = search(found, words)
    if words:
        hits = len({position for position, _ in cells})
        who = f"{hits} positions have" if hits > 1 else f"{hits or 'No'} position has"
        shown = plain(words.replace(" ", "␣"))  # as tokens show theirs
        st.markdown(f"{who} **{shown}** among the nearest {found.k}.")
    st.dataframe(
        decoding_table(found, cells),
        column_config=column_config(found),
        hide_index=True,
        height=38 + 35 * min(len(found.positions), 12),
        alt="Nearest tokens of every position with their scores and controls",
    )


def draw_map(found: Decoding, words: str) -> None:
    """The position × rank map, and beside it the neighbours of the position picked there."""
    st.subheader("Position by position", anchor=False)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.plotly_chart(
            position_rank_map(found, found=search(found, words)),
            key="map",
            on_select=_picked,
            selection_mode="points",
            config={"displayModeBar": False},
            alt="Map of positions and ranks, coloured by score; click a cell to see its position",
        )
        st.caption(f"{colour_meaning(found)} Click a cell to see its position.")
    with right:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            position = st.selectbox(
                "Position", range(len(found.positions)), key="sel", bind="query-params",
                persist_state="session", help="Or click a cell of the map.",
            )  # fmt: skip
            for key, words, step in (("K", "Previous", -1), ("J", "Next", 1)):
                st.button(
                    words, key=f"sel_{key}", shortcut=key, on_click=_step,
                    args=(step, len(found.positions)),
                )  # fmt: skip
        draw_figure(
            neighbour_bars(found, position),
            "bars",
            f"Scores of the tokens nearest to position {position}",
        )
        draw_controls_of(found, position)


def draw_controls_of(found: Decoding, position: int) -> None:
    """What one position's best score is worth, in words."""
    row = found.positions[position]
    if row.controls is None:
        return
    c = row.controls
    st.markdown(
        f"Its best score beats **{c.chance:.1f} %** of the Gaussian control, "
        f"**{c.isotropic:.1f} %** of the isotropic control and **{c.vocabulary:.1f} %** of "
        f"held-out tokens. Its norm, {row.norm:.3g}, is above that of "
        f"**{c.norm_percentile:.1f} %** of the vocabulary. Mean Jaccard overlap of "
        f"its nearest tokens across the three metrics: **{c.metric_agreement:.2f}**."
    )
    if c.flags:
        st.markdown(" ".join(f":orange-badge[{flag}]" for flag in c.named_flags))


def draw_violins(found: Decoding) -> None:
    """Best scores of the prompt beside the three reference samples, with their legend."""
    with st.expander("Is it closer than chance?", icon=":material/query_stats:"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with left:
        draw_figure(
            score_violins(found),
            "violins",
            "Best scores of this prompt, of held-out tokens and of two random controls",
        )
    right.markdown(
        f"**This prompt**: the best score of each of its {len(found.positions)} positions.\n\n"
        "**Held-out tokens**: sampled tokens of the vocabulary, each against its nearest *other* "
        "token. A position as close as these lies where tokens lie.\n\n"
        f"**Gaussian control**: {found.sample_size:,} rows with the vocabulary's mean and "
        "covariance, at the norms of the positions. A token list means something only where it "
        "beats these.\n\n"
        f"**Isotropic control**: {found.sample_size:,} rows that point anywhere, at those norms. "
        "Tokens share directions that these lack, so beating them says little alone; a position "
        "that does not is unlike the vocabulary altogether."
    )


def _picked() -> None:
    """Show the position of the clicked cell; a click that deselects leaves it shown."""
    points = st.session_state["map"].selection.points
    if points:
        _show_position(points[0]["customdata"][0])


def _shown_position() -> int:
    """The position that the page will show: on a first visit the address alone knows it."""
    told = st.query_params.get("sel", "0")
    return int(st.session_state.get("sel", told if told.isdecimal() else 0))


def _show_position(position: int) -> None:
    st.session_state["sel"] = position


def _step(step: int, positions: int) -> None:
    """Show the position before or behind; behind the last is the first."""
    st.session_state["sel"] = (st.session_state["sel"] + step) % positions


def _made_with(found: Decoding) -> str:
    parts = [
        plain(found.prompt),
        f"base model {plain(found.model)}",
        METRIC_NAMES[found.metric],
        f"k {found.k}",
        f"seed {found.seed}",
        f"random samples of {found.sample_size:,}",
        *(plain(f) for f in found.filters),
    ]
    return " · ".join(parts)


def draw(entry: Entry) -> Decoding | None:
    """The decoding of one prompt with its evidence; None after saying why there is none."""
    if isinstance(prompt_of(entry), KVPrefix):
        st.subheader("A key/value prefix has no nearest tokens.", anchor=False)
        st.markdown(
            f"**{plain(entry.id)}** is a prefix: its vectors are keys and values inside every "
            "layer, not input embeddings. They share no space with the vocabulary's rows, so any "
            "nearest token would be an accident of numbers. Choose another prompt in the sidebar."
        )
        return None
    model = usable_model(entry)
    if model is None:
        return None
    answer = st.container()
    k, filters, once, words = draw_options()
    metric = chosen_metric()
    try:
        found = decoding(entry, model, metric=metric, k=k, filters=filters, one_to_one=once)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/filter_alt_off:")
        return None
    with answer:
        draw_readings(entry, model, found)
    paint_now(("decode", entry.id, model, metric, k, filters, once))
    draw_map(found, words)
    draw_violins(found)
    draw_table(found, words)
    return found


def draw_take_along(entry: Entry, found: Decoding) -> None:
    """The note of the prompt, the decoding as files, and the link to this very view."""
    own = entry.source == "yours"  # that of a sample says what it was trained for
    note = entry.card.note if own else ""
    if own:
        draw_note(entry)
    view = ("m", "model", "model_id", "k", "f", "re", "one", "q", "sel", "try")
    draw_downloads(
        f"{found.prompt}-{found.metric}",
        {
            "csv": lambda: decoding_csv(found),
            "json": lambda: found.to_json() | ({"note": note} if note else {}),
            "html": lambda: decoding_html(found, note=note),
        },
        {"p": entry.id} | {name: st.session_state.get(name) for name in view},
    )


draw_heading("Decode", "Which tokens is this prompt closest to, and does that mean anything?")
if picked := pick_entry():
    decoded = draw(picked)
    if decoded and (on := usable_model(picked)):
        draw_guess(picked, on)
        draw_acting(picked, on, len(decoded.positions))
    draw_try_it([entry for id_ in chosen_prompts() if (entry := find(id_))])
    if decoded:
        draw_take_along(picked, decoded)
    draw_explanation(
        "decode", "\n".join(f"- **{flag}**: {meaning}." for flag, meaning in FLAG_MEANINGS.items())
    )
