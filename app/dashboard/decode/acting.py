"""Which positions of a prompt matter, and in which layers it acts: measured when asked for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.shared.heading import draw_figure
from dashboard.shared.markdown import plain
from dashboard.shared.resources import Entry, known_tasks, task_has_labels
from dashboard.shared.side_jobs import draw_answer
from probe.analysis.gains import signed
from probe.analysis.knock_out import LayerKnockOut
from probe.bootstrap import Estimate
from probe.charts import attribution_bars, knock_out_lines

_START_S, _SECONDS_PER_PASS = 10.0, 0.01
_POINTS = 8
"""Of integrated gradients; the sum misses its due by little then."""
_BY_GRADIENTS = "gradient_input,integrated_gradients"
_NAMES = {
    "removed": "row dropped",
    "mean": "row made the mean row",
    "gradient_input": "gradient × input",
    "integrated_gradients": "integrated gradients",
}


def draw_acting(entry: Entry, model: str, length: int) -> None:
    """What is asked for, and what was found.

    Args:
        entry: a prompt.
        model: the one it is for.
        length: its rows, P.
    """
    st.subheader("Which positions matter, and in which layers?", anchor=False)
    tasks = {one: name for one, name in known_tasks().items() if task_has_labels(one)}
    own = list(tasks).index(entry.card.task) if entry.card.task in tasks else None
    chosen, number = st.columns([3, 1], vertical_alignment="bottom", gap="medium")
    task = chosen.selectbox(
        "On the task", list(tasks), index=own, key=f"acting_{entry.id}",
        format_func=tasks.__getitem__, placeholder="none: on questions, and for layers only",
    )  # fmt: skip
    limit = int(number.number_input("Test examples", 4, 2000, 32, step=4, key="acting_n"))
    on = () if task is None else ("--task", task, "--limit", str(limit))
    beside = (*on, *(() if model == entry.card.base_model else ("--model", model)))
    if task is not None:
        _draw_positions(entry, beside, limit * (3 * length + 4 * _POINTS))
    _draw_layers(entry, beside, limit * 40)
    if task is not None:
        st.caption("Rows that hurt can be pruned, and the others retrained from their start:")
        st.code(shlex.join(("probe", "prune", entry.id, *beside)), language=None, wrap_lines=True)


def _draw_positions(entry: Entry, beside: Sequence[str], passes: int) -> None:
    found = _answer(
        "Drop each row",
        ("ablate", entry.id, *beside, "--attribution", _BY_GRADIENTS, "--points", str(_POINTS)),
        entry, passes,
    )  # fmt: skip
    if found is None:
        st.caption("How the loss changes without each row, beside what gradients foretell.")
        return
    kind = "mean" if found["positions"][0]["removed"] is None else "removed"
    changes = {
        kind: [Estimate(one[kind]["nats"], one[kind]["interval"]) for one in found["positions"]]
    } | {
        one["method"]: [Estimate(**part) for part in one["positions"]]
        for one in found["attributions"]
    }
    st.markdown(f"{_most(changes[kind], _NAMES[kind])} {_agreement(found['agreements'], kind)}")
    draw_figure(
        attribution_bars({_NAMES[name]: parts for name, parts in changes.items()}),
        "acting_positions",
        "Change of the loss at each position: row dropped, and by gradients",
    )
    st.caption(
        f"Above 0 the prompt is better with the row. {found['n']} test examples of "
        f"{plain(found['task'])}, 95 % intervals over them; gradients towards the mean row."
    )


def _most(changes: Sequence[Estimate], what: str) -> str:
    """Which position is worth most, in a sentence, and which ones hurt."""
    worth = [position for position, one in enumerate(changes) if one.ends[0] > 0]
    told = "No row alone is worth a loss whose interval leaves out 0."
    if worth:
        best = max(worth, key=lambda position: changes[position].value)
        low, high = changes[best].ends
        told = (
            f"**Position {best}** is worth most: {changes[best].value:+.3f} nats "
            f"[{low:+.3f}, {high:+.3f}], {what}."
        )
    hurt = [str(n) for n, one in enumerate(changes) if one.clear and one.value < 0]
    return told + (f" The loss is lower without each of: {', '.join(hurt)}." if hurt else "")


def _agreement(found: Sequence[Mapping[str, Any]], kind: str) -> str:
    """How far gradients rank the positions as the change does."""
    ranks = {
        one["second"]: "{} [{}, {}]".format(
            *(signed(x, 2) for x in (one["spearman"]["value"], *one["spearman"]["interval"]))
        )
        for one in found
        if one["first"] == kind
    }
    told = [f"{_NAMES[name]} {ranks[name]}" for name in _BY_GRADIENTS.split(",") if name in ranks]
    return f"Rank agreement with it (Spearman): {', '.join(told)}." if told else ""


def _draw_layers(entry: Entry, beside: Sequence[str], passes: int) -> None:
    found = _answer("Cut off each layer", ("knock-out", entry.id, *beside), entry, passes)
    if found is None:
        st.caption("How the loss changes where texts do not see the prompt in some layers.")
        return
    layers = LayerKnockOut.from_json(found)
    first, *others = map(plain, layers.headline())
    st.markdown(f"**{' '.join(others)}** {first}")
    alt = "Change of the loss where layers do not see the prompt"
    draw_figure(knock_out_lines(layers), "acting_layers", alt)


def _answer(label: str, command: Sequence[str], entry: Entry, passes: int) -> Any:
    return draw_answer(
        label, (*command, "--json"), (entry.card.created, entry.card.sha256),
        model=entry.card.base_model, doing=label, expected_s=_START_S + _SECONDS_PER_PASS * passes,
    )  # fmt: skip
