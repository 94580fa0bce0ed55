"""A text of your own: distilled into a prompt, watched while it trains, and read at the end."""

from __future__ import annotations

import json
import shlex
from typing import Any

import streamlit as st

from dashboard.decode.meaning import draw_meaning
from dashboard.shared.markdown import plain
from dashboard.shared.resources import find
from dashboard.shared.side_jobs import answer_path, draw_job, draw_start
from dashboard.shared.sidebar import choose
from probe.requests import DistillRequest, command_of, help_of
from probe.tables import default_model
from probe.texts import counted

_EXPECTED_S = 60.0
"""Of 8 rows on smollm2, on two idle cores."""
_WRITERS = ("smollm2", "builtin")


def draw_own_text() -> None:
    """The form, the training while it is at work, and what came of it."""
    st.markdown(
        "Type what a prompt is to do, as you would tell the model. A prompt is trained to have the "
        "same effect, and you see whether its vectors say what you wrote."
    )
    asked = _draw_fields()
    if not asked.text:
        return
    command = command_of(asked, "distill")
    arguments = ("distill", "--json", *command[2:])
    answer = answer_path(arguments, "")
    working = draw_job(arguments, "Distilling", _EXPECTED_S)
    if not working and not (answer.exists() and _draw_result(json.loads(answer.read_bytes()))):
        draw_start("Distil it", arguments, answer)
    st.caption("The same from a terminal:")
    st.code(shlex.join(command), language="bash", wrap_lines=True)


def _draw_fields() -> DistillRequest:
    words, rows, base = st.columns([5, 1, 2], gap="small")
    text = words.text_input(
        "A text of your own", key="own_text", persist_state="session", max_chars=2000,
        placeholder="Always answer in French.",
    )  # fmt: skip
    length = rows.number_input(
        "Rows", 1, 64, 8, key="own_length", persist_state="session",
        help=help_of(DistillRequest, "length"),
    )  # fmt: skip
    known = list(dict.fromkeys((default_model(), *_WRITERS)))
    model = base.selectbox(
        "Language model", known, key="own_model", persist_state="session",
        accept_new_options=True, help=help_of(DistillRequest, "model"),
    )  # fmt: skip
    return DistillRequest(text.strip(), str(model), length=int(length))


def _draw_result(made: dict[str, Any]) -> bool:
    """What was distilled; False where the prompt is no longer in the library."""
    entry = find(made["prompt"])
    if entry is None:
        return False
    own, cut = made["explained"], made["truncated"]
    low, high = own["interval"]
    st.success(
        f"**{plain(entry.id)}** has {100 * own['share']:.0f} % of the text's effect in "
        f"{counted(made['length'], 'row')} ({100 * low:.0f} to {100 * high:.0f} %, on "
        f"{own['contexts']} questions it was not trained on). The text's first "
        f"{counted(made['length'], 'token')} have {100 * cut['share']:.0f} %.",
        icon=":material/check:",
    )
    draw_meaning(entry, made["model"])
    if st.button(
        "Open in Decode", icon=":material/translate:", type="primary", key="own_decode",
        on_click=choose, args=([entry.id],),
    ):  # fmt: skip
        st.switch_page("dashboard/decode/page.py", query_params={})
    return True
