"""What came of a distillation: how much of the text's effect its prompt has, and how it reads."""

from __future__ import annotations

import streamlit as st

from dashboard.decode.meaning import draw_meaning
from dashboard.shared.markdown import plain
from dashboard.shared.resources import find, is_local
from probe.jobs import JobView
from probe.store import JobConfig
from probe.texts import counted


def draw_distilled(run: JobView, config: JobConfig) -> None:
    """The share of the text's effect, and the reading of the prompt while the library has it."""
    st.markdown(_share(run, int(config.request["length"])))
    for name in run.prompts:
        entry = find(name)
        if entry is not None and is_local(run.model):
            draw_meaning(entry, run.model)


def _share(run: JobView, length: int) -> str:
    found = run.metrics
    low, high = found["share_explained_interval"]
    return (
        f"The prompt has **{_percent(found['share_explained'])}** of the text's effect in "
        f"{counted(length, 'row')} ({_percent(low)} to {_percent(high)}, on "
        f"{counted(found['examples'], 'question')} it was not trained on). The text's own first "
        f"{counted(length, 'token')} {'has' if length == 1 else 'have'} "
        f"**{_percent(found['truncated_share_explained'])}**."
    )


def asked_of(config: JobConfig, model: str) -> str:
    """What is distilled into what, as Markdown."""
    return f"the text “{plain(config.request['text'])}” on **{plain(model)}**"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
