"""What an address asks of the public demo; a link is the easiest way to ask for anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import streamlit as st

from dashboard.shared.jobs import sample_studies
from dashboard.shared.public_demo import DemoError, is_public
from dashboard.shared.resources import library, workspace
from dashboard.shared.sidebar import OWN
from probe.tables import ALWAYS_NAMED

MOST_VALUES = 64
"""Prompts or rows that one parameter of an address names."""
MOST_LETTERS = 2000
"""Of one value; the longest text of a page is as long."""
_MODELS = (OWN, *ALWAYS_NAMED)
_NOT_OFFERED = {
    "model_id": "names of models other than the shipped ones",
    "re": "regular expressions",
}


def check_visit() -> None:
    """Look at the address of a visitor of the public demo, before any page does.

    Raises:
        DemoError: the demo cannot show what it names; the next click starts without it.
    """
    if not is_public():
        return
    asked = {name: st.query_params.get_all(name) for name in st.query_params}
    try:
        known = {*workspace().jobs.ids(), *(study.run for study in sample_studies())}
        check_address(asked, {entry.id for entry in library()}, known)
    except DemoError:
        st.query_params.clear()
        raise


def check_address(
    asked: Mapping[str, Sequence[str]], prompts: Collection[str], runs: Collection[str]
) -> None:
    """Let pass the address of a view that the demo can show.

    Args:
        asked: the values of each parameter.
        prompts: ids of the library.
        runs: ids of runs and studies.

    Raises:
        DemoError: it names what is not there, or more than anybody looks at.
    """
    for name, values in asked.items():
        _check_size(name, values)
        if why := _NOT_OFFERED.get(name):
            raise DemoError(
                f"the public demo takes no {why}: open it without {name}= in the address"
            )
    _check_known(asked, ("p", "a", "b"), prompts, "prompt")
    _check_known(asked, ("run", "study"), runs, "run")
    _check_known(asked, ("model",), _MODELS, "base model")


def _check_size(name: str, values: Sequence[str]) -> None:
    if len(values) > MOST_VALUES:
        raise DemoError(
            f"the address names {len(values):,} values of {name[:20]}: expected at most "
            f"{MOST_VALUES}"
        )
    if (longest := max(map(len, (name, *values)))) > MOST_LETTERS:
        raise DemoError(
            f"the address holds a value of {longest:,} characters: expected at most "
            f"{MOST_LETTERS:,}"
        )


def _check_known(
    asked: Mapping[str, Sequence[str]], names: Sequence[str], known: Collection[str], what: str
) -> None:
    for name in names:
        for value in asked.get(name, ()):
            if value not in known:
                shown = value if len(value) <= 60 else f"{value[:60]}…"
                raise DemoError(f"the public demo has no {what} {shown}: choose one on the page")
