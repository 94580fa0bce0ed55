"""Try it: one sentence under each chosen prompt, beside the model without a prompt."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.shared.errors import refusals
from dashboard.shared.heading import draw_figure
from dashboard.shared.limits import costly
from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import require_offered
from dashboard.shared.resources import SAME_VECTORS, Entry, files_of, is_local, prompt_of, workspace
from dashboard.shared.sidebar import OWN, chosen_base, chosen_model
from probe.charts import probability_bars
from probe.verbs.prompts import load_prompts
from probe.verbs.try_prompt import Answer, Tried, load_frozen, try_on

if TYPE_CHECKING:
    from probe.models import FrozenModel

_MOST = 12
"""More prompts at once would keep the others waiting."""


def draw_try_it(entries: Sequence[Entry], *, own_models: bool = False) -> None:
    """The sentence, and what each prompt makes of it.

    Args:
        entries: of the library.
        own_models: ask each on its own model, whatever the sidebar of other pages holds.
    """
    st.subheader("Try it", anchor=False)
    own_models = own_models or chosen_base() == OWN
    models = [one.card.base_model if own_models else chosen_model(one) for one in entries]
    known = [(one, model) for one, model in zip(entries, models, strict=True) if model]
    if not known:
        st.caption("Choose the base model in the sidebar: these prompts do not tell theirs.")
        return
    if len(known) > _MOST:
        st.caption(f"Only the first {_MOST} of {len(known)} prompts are asked.")
    text = st.text_input(
        "A sentence", key="try", bind="query-params", persist_state="session", max_chars=2000,
        placeholder="a moving film that never hurries",
        help="Put into the template each prompt was trained with, and answered by its model with "
        "and without the prompt.",
    )  # fmt: skip
    with st.popover("Template and label words", icon=":material/translate:"):
        template = st.text_input(
            "Template", key="try_template", persist_state="session",
            placeholder="the prompt's own, such as {text} It was",
        )  # fmt: skip
        words = st.text_input(
            "Label words, with commas between", key="try_words", persist_state="session",
            placeholder="the prompt's own",
        )  # fmt: skip
    asked = known[:_MOST]
    if not text.strip() or not all_here(model for _, model in asked):
        return
    labels = tuple(word.strip() for word in words.split(",") if word.strip())
    with refusals():
        other = None if own_models else asked[0][1]  # one for all
        draw_answers(tried([one for one, _ in asked], other, text, template.strip(), labels))


def draw_answers(found: Tried) -> None:
    """What prompts answer, beside the model alone."""
    labelled = [one for one in found.answers if one.label_words]
    for one in labelled[:3]:
        st.markdown(_sentence(one))
    for words in dict.fromkeys(one.label_words for one in labelled):
        _draw_bars([one for one in labelled if one.label_words == words])
    for one in found.answers:
        if not one.label_words:
            st.markdown(f"**{plain(one.prompt)}** writes on, the model alone beside it:")
            left, right = st.columns(2, gap="small")
            left.code(one.output or "(nothing)", language=None, wrap_lines=True)
            right.code(one.output_alone or "(nothing)", language=None, wrap_lines=True)
    for note in found.notes:
        st.caption(plain(note))
    templates = dict.fromkeys(f"“{one.template}”" for one in found.answers)
    caveat = " A probability among the label words is not a calibrated confidence."
    st.caption(f"Read as {plain(' and '.join(templates))}.{caveat if labelled else ''}")


def _sentence(one: Answer) -> str:
    assert one.label is not None and one.label_alone is not None
    own, alone = one.probabilities[one.label], one.alone[one.label_alone]
    return (
        f"**{plain(one.prompt)}** says **{plain(one.label)}** ({own:.2f}); the model alone says "
        f"**{plain(one.label_alone)}** ({alone:.2f})."
    )


def _draw_bars(answers: Sequence[Answer]) -> None:
    """The bars of prompts with the same label words, each model alone once per template."""
    rows: dict[str, dict[str, float]] = {one.prompt: one.probabilities for one in answers}
    alone = {(one.model, one.template): one.alone for one in answers}
    names = ["the model alone"] if len(alone) == 1 else [
        f"{model} alone: {template}" for model, template in alone
    ]  # fmt: skip
    rows |= dict(zip(names, alone.values(), strict=True))
    draw_figure(
        probability_bars(list(rows), list(rows.values())),
        f"try_{'_'.join(answers[0].label_words)}",
        "Probability of each label word under each prompt and under the model alone",
    )


def all_here(models: Iterable[str]) -> bool:
    """Whether every model may be opened; one that is elsewhere is fetched only when asked."""
    agreed: set[str] = st.session_state.setdefault("agreed_whole_models", set())
    missing = {one for one in models if not is_local(one) and one not in agreed}
    if not missing:
        return True
    for model in missing:
        require_offered(model)
    st.info(
        f"Trying needs the whole model, and {plain(', '.join(sorted(missing)))} is not on this "
        "machine.",
        icon=":material/cloud_download:",
    )
    if st.button("Fetch it and try"):
        agreed |= missing
        st.rerun()
    return False


@st.cache_data(show_spinner="Asking the model …", max_entries=128, hash_funcs=SAME_VECTORS)
@costly
def tried(
    entries: Sequence[Entry],
    model: str | None,
    text: str,
    template: str,
    label_words: tuple[str, ...],
) -> Tried:
    """What every prompt answers, one computation of the server at a time.

    Args:
        entries: of the library.
        model: asked in place of each one's own; None asks its own.
        text: a sentence.
        template: in place of their own; empty for their own.
        label_words: likewise.

    Raises:
        ProbeError: a prompt does not fit its model, or its words cannot be used.
    """
    prompts = [prompt_of(entry).renamed(entry.id) for entry in entries]
    with turn_of_models():
        return try_on(
            text,
            load_prompts(prompts, model=model, workspace=workspace()),
            template=template or None,
            label_words=label_words,
            open_model=opened_model,
        )


def opened_model(name: str, revision: str | None) -> FrozenModel:
    """A whole model, opened once for as long as its files are what they were."""
    return _opened(name, revision, files_of(name))


@st.cache_resource(show_spinner="Opening the model …", max_entries=2)
def _opened(name: str, revision: str | None, files: object) -> FrozenModel:  # noqa: ARG001
    return load_frozen(name, revision)


@st.cache_resource(show_spinner=False)
def turn_of_models() -> threading.Lock:
    """Held while a model works: one computation of the server at a time."""
    return threading.Lock()
