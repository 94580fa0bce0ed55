"""The choices that every page shares: which prompts, on which model, near by which metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import is_public, require_offered
from dashboard.shared.resources import Entry, OtherModel, is_local, library
from probe.analysis.neighbours import DEFAULT_METRIC, Metric
from probe.requests import DecodeRequest, help_of
from probe.tables import ALWAYS_NAMED, default_model
from probe.tables.widths import models_of_width

_DEMO = {"smollm2": "smollm2-distilled-french", "builtin": "sst2-text"}
"""The prompt a first visit shows, by the model that is meant where none is named: one that answers
in French, else one that started from words, as their stories are the easiest to read."""

# Bound widgets write their options into the address as they are shown, so these are kept short.
OWN = "the prompt's own"
OTHER = "another"
_BESIDE_TOKENS = ("decode", "map", "compare")
"""Pages that ask what near means, and in whose vocabulary."""
_METRICS: dict[Metric, str] = {"cosine": "cosine", "l2": "L2", "dot": "dot product"}


def draw_sidebar(page: str) -> None:
    """Draw the choices that a page uses; every one of them is part of its address."""
    ids = [entry.id for entry in library()]
    demo = demo_prompt()
    first = [demo] if demo in ids else ids[:1]
    with st.sidebar:
        st.multiselect(
            "Prompts",
            ids,
            default=first,
            key="p",
            bind="query-params",
            persist_state="session",
            placeholder="Choose prompts",
            help="Decode shows one at a time; Map and Compare take all of them together.",
        )
        if page in _BESIDE_TOKENS:
            _draw_metric_and_model()


def read_address(key: str, names: Mapping[Any, str]) -> None:
    """Let an address name an option as documents do, where the page shows another name.

    Args:
        key: of a bound widget that is drawn next.
        names: what each option is shown as.
    """
    if key not in st.session_state and (told := st.query_params.get(key)) in names:
        st.session_state[key], st.query_params[key] = told, names[told]
        st.rerun()  # then the address says what the page shows


def _draw_metric_and_model() -> None:
    read_address("m", _METRICS)
    st.segmented_control(
        "Metric",
        list(_METRICS),
        format_func=_METRICS.__getitem__,
        default=DEFAULT_METRIC,
        required=True,
        key="m",
        bind="query-params",
        persist_state="session",
        width="stretch",
        help=help_of(DecodeRequest, "metric"),
    )
    st.selectbox(
        "Base model",
        [OWN, *ALWAYS_NAMED, *(() if is_public() else (OTHER,))],
        key="model",
        bind="query-params",
        persist_state="session",
        help="Whose vocabulary the rows are compared with.",
    )
    if chosen_base() == OTHER:
        st.text_input(
            "Model folder, GGUF file or hub id",
            key="model_id",
            bind="query-params",
            persist_state="session",
            placeholder="openai-community/gpt2",
        )


def demo_prompt() -> str:
    """The sample that a first visit is shown."""
    return _DEMO[default_model()]


def chosen_prompts() -> list[str]:
    """Ids of the chosen prompts."""
    return list(st.session_state.get("p", ()))


def choose(ids: Sequence[str]) -> None:
    """Choose these prompts instead of others; for callbacks."""
    st.session_state["p"] = list(ids)


def choose_on_own(ids: Sequence[str]) -> None:
    """Choose these prompts, each on the model it was trained on; for callbacks."""
    choose(ids)
    st.session_state["model"] = OWN


def show_in_decode(id_: str, position: int | None = None, *, on_own: bool = False) -> None:
    """Let Decode show a prompt, chosen beside the others, and one of its positions.

    Args:
        id_: of the prompt.
        position: None leaves it open.
        on_own: on the model it was trained on, whichever was chosen before.
    """
    chosen = chosen_prompts()
    (choose_on_own if on_own else choose)(chosen if id_ in chosen else [*chosen, id_])
    st.session_state["show"] = id_
    if position is not None:
        st.session_state["sel"] = position


def chosen_metric() -> Metric:
    """The chosen metric."""
    return cast(Metric, st.session_state.get("m", DEFAULT_METRIC))


def chosen_base() -> str:
    """Whose vocabulary is chosen, `OWN` where nothing is."""
    return str(st.session_state.get("model", OWN))


def chosen_model(entry: Entry) -> str | None:
    """The model to decode an entry on; None where neither file nor user names one.

    Raises:
        DemoError: a visitor of the public demo names another model than the shipped ones.
    """
    choice = chosen_base()
    if choice == OWN:
        return entry.card.base_model
    if choice == OTHER:
        choice = OtherModel(str(st.session_state.get("model_id", "")).strip())
    if choice:
        require_offered(choice)
    return choice or None


def usable_model(entry: Entry) -> str | None:
    """The model to decode on, or None after saying on the page what is missing.

    A model that is not on this machine is fetched only when the user asks: the name may come from
    an uploaded file or from a link.
    """
    model = chosen_model(entry)
    if model is None:
        _draw_no_model(entry.card.shape[-1] if entry.card.shape else None)
        return None
    if is_local(model) or model in _fetched():
        return model
    require_offered(model)
    st.info(
        f"The base model **{plain(model)}** is not on this machine. Decoding needs only its "
        "embedding table and tokenizer. You can also choose another model in the sidebar.",
        icon=":material/cloud_download:",
    )
    if st.button("Fetch the embedding table", type="primary"):
        _fetched().add(model)
        st.rerun()
    return None


def _draw_no_model(width: int | None) -> None:
    """Say that no model is named, and offer those that rows of that width fit."""
    said = f" Its rows have width {width}." if width else ""
    st.info(
        "This prompt does not say which model it was trained on: "
        f"choose the base model in the sidebar.{said} {fitting_words(width)}",
        icon=":material/help:",
    )
    with st.container(horizontal=True):
        for model in _fitting(width):
            st.button(f"Use {plain(model)}", key=f"use_{model}", on_click=_use, args=(model,))


def fitting_words(width: int | None) -> str:
    """Which models rows of a width fit, as a sentence; empty where none is known."""
    names = ", ".join(map(plain, _fitting(width)))
    return names and f"Models of that width: {names}."


def _fitting(width: int | None) -> list[str]:
    found = models_of_width(width) if width else []
    return [model for model in found if not is_public() or model in ALWAYS_NAMED]


def _use(model: str) -> None:
    """Choose a base model, whichever it is; for callbacks."""
    named = model in ALWAYS_NAMED
    st.session_state["model"] = model if named else OTHER
    if not named:
        st.session_state["model_id"] = model


def _fetched() -> set[str]:
    """Models the user has agreed to fetch in this session."""
    agreed: set[str] = st.session_state.setdefault("agreed_models", set())
    return agreed
