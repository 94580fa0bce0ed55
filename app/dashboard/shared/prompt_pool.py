"""The prompts a page looks at together: those chosen that share one embedding table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.resources import (
    Entry,
    files_of,
    find,
    library,
    prompt_of,
    vectors_of,
    vocabulary,
)
from dashboard.shared.sidebar import chosen_model, chosen_prompts, usable_model
from probe.prompt import SoftPrompt
from probe.verbs.decoding import with_start
from probe.vocabulary import Vocabulary

MOST_ADDED = 12
"""Prompts put beside a single chosen one, so that there is something to compare."""
_OF_ROWS = ("position", "displacement")
NO_START = "does not record which tokens training began from"


@dataclass(frozen=True)
class Pool:
    """Prompts of one embedding table."""

    entries: tuple[Entry, ...]
    model: str
    left_out: tuple[tuple[str, str], ...] = ()
    """Chosen prompts that cannot take part, and why."""
    added: int = 0
    """Entries at the end that were not chosen."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the entries."""
        return tuple(entry.id for entry in self.entries)

    @property
    def key(self) -> tuple[tuple[str, str, str | None], ...]:
        """What a cache must know of the prompts."""
        return tuple(map(vectors_of, self.entries))

    @property
    def prompts(self) -> tuple[SoftPrompt, ...]:
        """The prompts themselves, called by their ids, with their starts where these are known."""
        found = (prompt_of(entry).renamed(entry.id) for entry in self.entries)
        table = self.vocabulary
        return tuple(
            with_start(prompt, table) for prompt in found if isinstance(prompt, SoftPrompt)
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens and the table."""
        return vocabulary(self.entries[0], self.model)


def draw_of_rows(*, disabled: bool = False) -> bool:
    """The choice of what is looked at of each row: whether it is what training changed."""
    chosen = st.segmented_control(
        "Of each row", _OF_ROWS, default=_OF_ROWS[0], required=True, key="of", bind="query-params",
        persist_state="session", disabled=disabled, width="stretch",
        help="position: where the row lies. displacement: what training changed, the row minus the "
        "embedding of its initial token. That takes the start itself out; rows that began alike "
        "may still be moved alike.",
    )  # fmt: skip
    return not disabled and chosen == _OF_ROWS[1]


def pool_of_changes(pool: Pool, *, least: int, done: str) -> Pool | None:
    """The prompts whose files say which tokens training began from; None after saying why not.

    Args:
        pool: of which the others are left out.
        least: so many prompts are needed.
        done: what is done with positions instead.
    """
    table = pool.vocabulary
    known = [entry for entry in pool.entries if _starts_from_tokens(entry, table)]
    if len(known) >= least:
        unknown = [entry for entry in pool.entries if entry not in known]
        left = tuple((entry.id, NO_START) for entry in unknown)
        added = sum(entry in pool.entries[len(pool.entries) - pool.added :] for entry in known)
        return replace(pool, entries=tuple(known), left_out=pool.left_out + left, added=added)
    st.warning(
        f"{'Fewer than two' if least > 1 else 'None'} of these files say which tokens training "
        f"began from, so what changed since is not known: positions are {done}.",
        icon=":material/block:",
    )
    return None


def _starts_from_tokens(entry: Entry, table: Vocabulary) -> bool:
    prompt = with_start(prompt_of(entry), table)
    return isinstance(prompt, SoftPrompt) and prompt.init_token_ids is not None


BY_KEY: dict[str | type, Callable[[Any], object]] = {
    Pool: lambda pool: (pool.key, pool.model, files_of(pool.model))
}
"""How a cache tells pools apart."""


def chosen_entries() -> list[Entry]:
    """The chosen prompts that still exist; says what to do where there are none."""
    chosen = [entry for id_ in chosen_prompts() if (entry := find(id_))]
    if not chosen:
        st.info(
            "No prompt is chosen. Choose some in the sidebar, or add a file in the Library.",
            icon=":material/arrow_back:",
        )
        st.page_link(
            "dashboard/library/page.py", label="Go to the Library", icon=":material/inventory_2:"
        )
    return chosen


def pool_of(chosen: Sequence[Entry], *, least: int = 1) -> Pool | None:
    """The chosen prompts that share a table with the first of them.

    Fewer than `least` are filled up from the library. None after saying what is missing.
    """
    soft = [entry for entry in chosen if _why_no_rows(entry) is None]
    if not soft:
        _say_no_rows(chosen)
        return None
    model = usable_model(soft[0])
    if model is None:
        return None
    table = vocabulary(soft[0], model)
    reasons = {entry.id: _why_not(entry, model, table) for entry in chosen}
    kept = [entry for entry in chosen if reasons[entry.id] is None]
    left_out = tuple((name, why) for name, why in reasons.items() if why is not None)
    if not kept:
        st.error(plain(f"{left_out[0][0]} {left_out[0][1]}."), icon=":material/error:")
        return None
    added: list[Entry] = []
    if len(kept) < least:
        known = {entry.id for entry in chosen}
        others = (entry for entry in library() if entry.id not in known)
        fitting = (entry for entry in others if _why_not(entry, model, table) is None)
        added = list(islice(fitting, MOST_ADDED))
    return Pool((*kept, *added), model, left_out, len(added))


def draw_notes(pool: Pool) -> None:
    """Who was left out and who was added, a line each."""
    if pool.added:
        st.caption(
            f"Only {plain(pool.ids[0])} is chosen in the sidebar, so {pool.added} other "
            f"{'prompts stand' if pool.added > 1 else 'prompt stands'} beside it."
        )
    by_reason: dict[str, list[str]] = {}
    for name, why in pool.left_out:
        by_reason.setdefault(why, []).append(name)
    for why, names in by_reason.items():
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        st.caption(f"Left out: {plain(shown)}, which {plain(_of_many(why, len(names)))}.")


_PLURAL = {"was": "were", "has": "have", "does": "do", "is": "are"}


def _of_many(why: str, count: int) -> str:
    """A reason as it is said of several prompts."""
    if count == 1:
        return why
    verb, _, rest = why.partition(" ")
    rest = rest.replace("a key/value prefix and has", "key/value prefixes and have")
    return f"{_PLURAL.get(verb, verb)} {rest}"


def _why_no_rows(entry: Entry) -> str | None:
    if entry.card.kind == "kv_prefix":
        return "is a key/value prefix and has no rows in embedding space"
    return None if entry.card.trained else "was never trained"


def _why_not(entry: Entry, model: str, table: Vocabulary) -> str | None:
    if why := _why_no_rows(entry):
        return why
    own = chosen_model(entry)
    if own is not None and own != model:
        return f"was trained on {own}, not {model}"
    width = entry.card.shape[-1]
    if width != table.width:
        return f"has width {width}, not {table.width} as {model} has"
    return None


def _say_no_rows(chosen: Sequence[Entry]) -> None:
    if chosen:
        why = _why_no_rows(chosen[0])
        st.info(
            f"{plain(chosen[0].id)} {why}, so there is nothing to place beside tokens. Choose "
            "another prompt in the sidebar.",
            icon=":material/info:",
        )
