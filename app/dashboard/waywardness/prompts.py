"""What the prompts of a waywardness study say, and the way from each to its decoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.shared.errors import attempt
from dashboard.shared.jobs import short
from dashboard.shared.resources import files_of, is_local, workspace
from dashboard.shared.sidebar import choose_on_own
from dashboard.shared.token_strip import draw_strip
from probe.analysis.decoding import Decoding
from probe.analysis.gains import relative_change
from probe.analysis.waywardness import Choice, Waywardness, WaywardRun
from probe.errors import ProbeError
from probe.prompt import SoftPrompt
from probe.reports.token_strips import StripToken, nearest_strip
from probe.store import JobFolder
from probe.tables import load_vocabulary
from probe.texts import init_words
from probe.verbs.decoding import decode
from probe.verbs.loading import load
from probe.verbs.waywardness import keep_wayward

Place = tuple[str, str, str, str, str]
"""What a prompt is constrained to: model, task, start, kind and the text itself."""


def draw_prompts(study: JobFolder, found: Waywardness) -> None:
    """A row per text; the selected one with all its prompts."""
    st.subheader("What the prompts say", anchor=False)
    choices = {_place(choice): choice for choice in found.choices}
    key, slot = f"choices_{study.id}_{len(choices)}", f"w_text_{study.id}"
    st.dataframe(
        [_row(choice) for choice in choices.values()], hide_index=True, placeholder="",
        height=38 + 35 * min(len(choices), 8), on_select=_picked(key, slot, list(choices)),
        selection_mode="single-row", key=key,
        alt="One row per text: the prompt of the chosen γ, and what it decodes to",
    )  # fmt: skip
    if st.session_state.get(slot) not in choices:
        st.session_state[slot] = _first(choices, found.runs)
    picked = st.selectbox(
        "Text", list(choices), key=slot, format_func=lambda place: _label(choices[place]),
        help="Or select a row of the table.",
    )  # fmt: skip
    choice = choices[picked]
    st.query_params["see"] = Path(choice.prompt).stem
    _draw_runs(study, _runs_of(picked, found.runs), choice)


def _place(one: Choice | WaywardRun) -> Place:
    return one.model, one.task, one.init, one.kind, one.target


def _picked(key: str, slot: str, places: Sequence[Place]) -> Callable[[], None]:
    def pick() -> None:
        if rows := st.session_state[key].selection.rows:
            st.session_state[slot] = places[rows[0]]

    return pick


def _first(choices: Mapping[Place, Choice], runs: Sequence[WaywardRun]) -> Place:
    """The text that the address names; else one whose prompt started elsewhere, if there is any."""
    wanted = st.query_params.get("see")
    for run in runs:
        # A baseline may be that of several texts.
        if run.gamma and Path(run.prompt).stem == wanted and _place(run) in choices:
            return _place(run)
    elsewhere = (place for place, choice in choices.items() if choice.init != "target")
    return next(elsewhere, next(iter(choices)))


def _runs_of(place: Place, runs: Sequence[WaywardRun]) -> list[WaywardRun]:
    return [run for run in runs if _place(run) == place]


def _draw_runs(study: JobFolder, runs: Sequence[WaywardRun], choice: Choice) -> None:
    gammas = sorted({run.gamma for run in runs})
    left, right = st.columns([3, 1], gap="small", vertical_alignment="bottom")
    gamma = left.segmented_control(
        "γ", gammas, default=choice.gamma, required=True, format_func="{:g}".format,
        key=f"w_gamma_{Path(choice.prompt).stem}",
    )  # fmt: skip
    seeds = sorted({run.seed for run in runs if run.gamma == gamma})
    seed = right.selectbox("Seed", seeds, key=f"w_seed_{Path(choice.prompt).stem}")
    run = next(run for run in runs if (run.gamma, run.seed) == (gamma, seed))
    picked = draw_texts(study, run, lambda position: _open(study, run, position))
    st.markdown(
        f"Prompt F1 **{run.f1:.2f}**, tokens at their place **{100 * run.token_match:.0f} %** of "
        f"{run.tokens}, test accuracy **{run.test_accuracy:.3f}**, mean squared distance to the "
        f"text **{run.distance:.3g}**."
    )
    if (study.prompts / Path(run.prompt).name).exists():  # those of samples are left out but a few
        picked |= st.button(
            "Open in Decode", icon=":material/translate:", type="primary", key="w_open",
            on_click=_open, args=(study, run),
            help="Keeps this prompt in the library, once, and shows its decoding with controls.",
        )  # fmt: skip
    if picked and st.session_state.pop("w_kept", False):
        st.switch_page("dashboard/decode/page.py", query_params={})


def _open(study: JobFolder, run: WaywardRun, position: int = 0) -> None:
    def keep() -> None:
        choose_on_own([keep_wayward(study, run, workspace=workspace())])
        st.session_state["sel"] = position
        st.session_state["m"] = "l2"  # the distance the study decodes by

    st.session_state["w_kept"] = attempt(keep)


def _row(choice: Choice) -> dict[str, Any]:
    return {
        "task": short(choice.task),
        "start": init_words(choice.init),
        "kind": choice.kind,
        "text": choice.target,
        "decoded": choice.decoded,
        "γ": choice.gamma,
        "F1": f"{choice.f1:.3f}",
        "F1, γ = 0": f"{choice.f1_at_zero:.3f}",
        "accuracy": f"{choice.wayward_accuracy:.3f}",
        "γ = 0": f"{choice.baseline_accuracy:.3f}",
        "accuracy change": None if choice.delta is None else relative_change(choice.delta),
    }


def _label(choice: Choice) -> str:
    text = choice.target if len(choice.target) <= 60 else f"{choice.target[:59]}…"
    return f"{short(choice.task)}, from {init_words(choice.init)}: {text}"


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
    place, here = study.prompts / Path(run.prompt).name, is_local(run.model)
    strips = _strips(place, run, files_of(run.model)) if here else None
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
    path: Path,
    run: WaywardRun,
    files: object,  # noqa: ARG001
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
