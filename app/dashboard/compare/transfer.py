"""Prompts on tasks they were not trained for: what is on record, and a table made on demand."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.shared.exports import draw_download
from dashboard.shared.heading import draw_figure
from dashboard.shared.jobs import short
from dashboard.shared.markdown import plain
from dashboard.shared.prompt_pool import Pool
from dashboard.shared.resources import known_tasks, workspace
from dashboard.shared.side_jobs import draw_answer
from probe.analysis.transfer import Transfer
from probe.charts import correlation_bars, transfer_map
from probe.reports.headlines import transfer_headline
from probe.reports.spreadsheets import csv_with
from probe.store import EvaluationRecord
from probe.task import METRIC_WORDS
from probe.texts import counted

_SECONDS_PER_ANSWER = 0.006
_START_S = 8.0


def draw_transfer(pool: Pool, *, own_model: bool) -> None:
    """Score every prompt of the pool on tasks, or show what was scored before."""
    _draw_history(pool)
    tasks = known_tasks()
    chosen, number = st.columns([3, 1], vertical_alignment="bottom", gap="medium")
    wanted = chosen.multiselect(
        "Tasks", list(tasks), key="tasks", persist_state="session", format_func=tasks.__getitem__,
        placeholder="Choose tasks to try every prompt on",
    )  # fmt: skip
    limit = number.number_input(
        "Examples of each", 10, 2000, 50, step=10, key="tasks_n", persist_state="session"
    )
    if not wanted:
        st.caption("Tasks that come with probe, your own, and the paper's, fetched from the hub.")
        return
    arguments = (
        "transfer", *(word for task in wanted for word in ("--task", task)),
        "--limit", str(int(limit)), "--json", *(() if own_model else ("--model", pool.model)),
        "--", *pool.ids,
    )  # fmt: skip
    where = plain(", ".join(tasks[one] for one in wanted))
    expected_s = _START_S + _SECONDS_PER_ANSWER * len(pool.entries) * len(wanted) * int(limit)
    if found := draw_answer(
        f"Score {counted(len(pool.entries), 'prompt')} on {where}", arguments, pool.key,
        model=pool.model, doing="Scoring", expected_s=expected_s,
    ):  # fmt: skip
        _draw_result(Transfer.from_json(found))


def _draw_result(found: Transfer) -> None:
    first, examples = transfer_headline(found, strong="**")
    st.markdown(f"{first} {plain(examples)}")
    alt = "Score of every prompt on every task, coloured by the gain over the model alone"
    draw_figure(transfer_map(found), "transfer", alt, tools=True)
    if any(one.spearman is not None for one in found.correlations):
        st.markdown("Do prompts that are closer to a task's own prompt score higher on that task?")
        alt = "Rank correlation of every measure with transfer"
        draw_figure(correlation_bars(found), "correlations", alt, tools=True)
    made = {"split": found.split, "seed": found.seed, "n": max(task.n for task in found.tasks)}
    draw_download(
        "Transfer as CSV", "transfer.csv", lambda: csv_with(found.to_frame(), made),
        key="export_transfer",
    )  # fmt: skip


def _draw_history(pool: Pool) -> None:
    """The last recorded score of each prompt on each task, those that are alike in one column."""
    ids = set(pool.ids)
    known = [(id_, one) for id_, one in workspace().evaluations() if id_ in ids]
    if not known:
        return
    several = len({one.model for _, one in known}) > 1
    # Oldest first, so the newest stays.
    last = {(id_, _scored(one, of_model=several)): one.value for id_, one in known}
    table = pd.Series(last).unstack()
    st.caption("On record: the last evaluation of each prompt on each task")
    st.dataframe(
        table.rename_axis("prompt").reset_index(), hide_index=True, placeholder="",
        alt="Recorded scores of prompts on tasks",
    )  # fmt: skip


def _scored(one: EvaluationRecord, *, of_model: bool) -> str:
    """What a recorded score is of: only such of the same can stand below each other."""
    what = METRIC_WORDS.get(one.metric, one.metric) + f" of {short(one.model)}" * of_model
    return f"{short(one.task)}: {what}, {one.split}, n = {one.n:,}"
