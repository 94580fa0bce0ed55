"""Your guess: what share of a prompt's effect has a text that somebody types in its place?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.decode.try_it import all_here, opened_model, turn_of_models
from dashboard.shared.errors import refusals
from dashboard.shared.limits import costly
from dashboard.shared.resources import SAME_VECTORS, Entry, other_than_own, prompt_of, workspace
from probe.requests import ReadRequest, help_of
from probe.verbs.prompts import LoadedPrompt, load_prompts
from probe.verbs.reading import own_template

if TYPE_CHECKING:
    from probe.models import FrozenModel
    from probe.readings.plug_in import Effect, TextScore

_BY_CHANCE = 3
"""Texts of random tokens that stand beside a guess."""
_SIZES = (4, 8, 16, 32, 64, 128, 256)
"""Their lengths: the first that a guess fits into, so that a further guess finds them scored."""


def draw_guess(entry: Entry, model: str) -> None:
    """The box, and what the text in it has of the prompt's effect."""
    st.subheader("Your guess", anchor=False)
    text = st.text_input(
        "What does this prompt say?", key="guess", persist_state="session", max_chars=2000,
        placeholder="Answer in French.",
        help=help_of(ReadRequest, "text_to_score"),
    )  # fmt: skip
    if not text.strip() or not all_here([model]):
        return
    with refusals():
        own, tokens = _scored(entry, model, text.strip())
        _draw(own, _by_chance(entry, model, tokens), tokens)


def _draw(own: TextScore, chance: Sequence[TextScore], tokens: int) -> None:
    found, best = own.explained, max((one.explained.share for one in chance), default=0.0)
    low, high = found.interval
    st.markdown(
        f"**{_percent(found.share)}** of the prompt's effect is in your text "
        f"({_percent(low)} to {_percent(high)}). Texts of {tokens} random tokens have at best "
        f"**{_percent(best)}**."
    )
    st.progress(min(1.0, max(0.0, found.share)))
    st.caption(
        f"1 − KL(prompt ‖ text) / KL(prompt ‖ nothing), {found.kl_nats:.3f} of "
        f"{found.kl0_nats:.3f} nats per token left, on {found.contexts} questions that no prompt "
        f"is distilled on; in brackets 95 % over these. {len(chance)} random texts. The same by "
        "`probe read --text-to-score`."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


@st.cache_data(
    show_spinner="Putting your text in the prompt's place …",
    max_entries=256,
    hash_funcs=SAME_VECTORS,
)
@costly
def _scored(entry: Entry, model: str, text: str) -> tuple[TextScore, int]:
    """The score of a text, and of how many random tokens the texts beside it are.

    Raises:
        ProbeError: the model writes no text, or the prompt does not fit.
    """
    from probe.readings.plug_in import token_count  # torch comes with it

    with turn_of_models():
        opened = _opened(entry, model)
        beside = next(size for size in _SIZES if size >= min(token_count(opened, text), _SIZES[-1]))
        return _effect(entry, model).score(opened, text), beside


@st.cache_data(
    show_spinner="Scoring random texts beside it …", max_entries=64, hash_funcs=SAME_VECTORS
)
@costly
def _by_chance(entry: Entry, model: str, tokens: int) -> list[TextScore]:
    """Scores of random texts of a length, which guesses of about that length share.

    Raises:
        ProbeError: as for a guess.
    """
    from probe.readings.plug_in import random_tokens

    with turn_of_models():
        opened = _opened(entry, model)
        texts = [random_tokens(opened, tokens, seed) for seed in range(_BY_CHANCE)]
        effect = _effect(entry, model)
        return [effect.score(opened, text) for text in texts if text]


@st.cache_resource(
    show_spinner="Watching what the prompt does …", max_entries=16, hash_funcs=SAME_VECTORS
)
def _effect(entry: Entry, model: str) -> Effect:
    """What a prompt does on the questions, measured once."""
    from probe.readings.plug_in import effect_of

    loaded = _loaded(entry, model)
    return effect_of(_opened(entry, model), loaded.single, template=own_template(loaded))


def _loaded(entry: Entry, model: str) -> LoadedPrompt:
    """The prompt with the model it is read on."""
    named = other_than_own(entry, model)
    (loaded,) = load_prompts([prompt_of(entry)], model=named, workspace=workspace())
    return loaded


def _opened(entry: Entry, model: str) -> FrozenModel:
    return opened_model(model, _loaded(entry, model).revision)
