"""Data of one's own: rows are read and checked line by line, shown, and kept as a task."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.library.upload import MOST_NAME, by_file_name
from dashboard.shared.errors import attempt, refusals
from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import is_offered
from dashboard.shared.resources import workspace
from probe.charts import visible
from probe.datasets import Columns
from probe.datasets.definition import Definition
from probe.datasets.rows import read_rows
from probe.errors import DataError
from probe.store.tasks import read_task
from probe.task import TEXT_SLOT, Task, columns_of, split_words
from probe.texts import counted

_MOST_LABELS = 30
_SHOWN = 5
_MAX_FILE_MB = 50


@refusals()
def draw_task_upload() -> None:
    """The form: choose files, say what the columns mean, see what was read, keep it."""
    if not is_offered("uploads"):
        return
    files = st.file_uploader(
        "Rows as JSONL, CSV, TSV or Parquet", type=["jsonl", "csv", "tsv", "parquet"],
        accept_multiple_files=True, max_upload_size=_MAX_FILE_MB,
        key=f"rows_{st.session_state.get('kept_tasks', 0)}",
        help="One file holds training rows, a tenth of which validates; or give several, named "
        "train, validation and test.",
    )  # fmt: skip
    if not files:
        st.caption("One row per example: a text, and a label or a target text.")
        return
    content = by_file_name((file.name, file.getvalue()) for file in files)
    definition = _draw_definition(_first_rows(content), Path(next(iter(content))).stem)
    if definition is None:
        return
    _draw_preview(_read(definition, content))
    st.button(
        "Keep as a task", type="primary", icon=":material/add:", on_click=_keep,
        args=(definition, content),
    )  # fmt: skip


def label_values(rows: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    """The different labels of a column, numbers by size and words by the alphabet."""
    found = {str(row[column]).strip() for row in rows if row.get(column) is not None}
    return sorted(found, key=lambda one: (not one.isdecimal(), int(one) if one.isdecimal() else 0,
                                          one))  # fmt: skip


def first_cells(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The first rows as text: a table takes neither huge numbers nor half a character."""
    return pd.DataFrame(
        [
            {name: "" if value is None else visible(str(value)) for name, value in row.items()}
            for row in rows[:_SHOWN]
        ]
    )


@st.cache_data(max_entries=4, show_spinner="Reading the rows …")
def _first_rows(content: dict[str, bytes]) -> list[dict[str, Any]]:
    """The rows of the first file.

    Raises:
        DataError: it cannot be read; the message names the line.
    """
    name, data = next(iter(content.items()))
    with tempfile.TemporaryDirectory(prefix="probe-rows-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            rows = [dict(row.values) for row in read_rows(path)]
        except DataError as error:
            raise DataError(str(error).replace(f"{folder}/", "")) from None
    if not rows:
        raise DataError(f"{name}: expected rows, found none")
    return rows


@st.cache_data(max_entries=4, show_spinner="Checking every row …")
def _read(definition: Definition, content: dict[str, bytes]) -> Task:
    return read_task(definition, content)


def _draw_definition(rows: Sequence[Mapping[str, Any]], stem: str) -> Definition | None:
    """What the columns mean; None while something is missing, which the page says."""
    st.dataframe(first_cells(rows), hide_index=True, alt="The first rows of the file")
    columns = list(rows[0])
    left, middle, right = st.columns(3, gap="small")
    text = left.selectbox("Column of the text", columns, index=_place(columns, "text", 0))
    kinds = {"classification": "a label", "generation": "a text to write"}
    guess = 1 if "target" in columns and "label" not in columns else 0
    kind = middle.selectbox(
        "The answer is", list(kinds), index=guess, format_func=kinds.__getitem__
    )
    wanted = "label" if kind == "classification" else "target"
    other = right.selectbox(
        "Column of the answer", columns, index=_place(columns, wanted, len(columns) - 1)
    )
    names = label_values(rows, other) if kind == "classification" else []
    words = _draw_label_words(names) if kind == "classification" else ()
    template = st.text_input(
        "Template", value="{text} It was" if names else "{text} =>",
        help="What the model reads: {text}, or other columns by their names, is where an example "
        "stands, its answer follows.",
    )  # fmt: skip
    name = st.text_input(
        "Name of the task", value=stem if stem != "train" else "mine", max_chars=MOST_NAME
    )
    if words is None:
        return None
    if not columns_of(template):
        raise DataError(
            f"the template needs {TEXT_SLOT} once, or other columns as {{NAME}}, found {template!r}"
        )
    first, synonyms = split_words([word.split("|") for word in words])
    return Definition(
        name.strip() or "mine", kind, template, first, synonyms,  # type: ignore[arg-type]
        label_names=tuple(names), source="uploaded in the dashboard",
        columns=Columns(text, **{wanted: other}),
    )  # fmt: skip


def _draw_label_words(names: Sequence[str]) -> tuple[str, ...] | None:
    """One word per label, which the model is to predict."""
    if not 2 <= len(names) <= _MOST_LABELS:
        raise DataError(
            f"expected 2 to {_MOST_LABELS} different labels, found {len(names)}: choose another "
            "column, or train it as texts to write"
        )
    suggested = ", ".join(names) if not all(name.isdecimal() for name in names) else ""
    typed = st.text_input(
        f"Label words for {', '.join(map(plain, names))}", value=suggested,
        placeholder="terrible, great",
        help="What the model predicts for each label, in this order, with commas between; "
        "good|great gives a label two words. Single common words work best.",
    )  # fmt: skip
    words = tuple(word.strip() for word in typed.split(",") if word.strip())
    if len(words) != len(names):
        st.info(
            f"Type {counted(len(names), 'label word')}, one per label, with commas between.",
            icon=":material/edit:",
        )
        return None
    return words


def _draw_preview(task: Task) -> None:
    """How much was read, and what the model will see."""
    parts = (("train", task.train), ("validate", task.validation), ("test", task.test))
    st.markdown("**" + ", ".join(f"{len(rows):,} to {what}" for what, rows in parts) + "**")
    if not task.test:
        st.warning(
            "No rows are left to test: a trained prompt will have no test score. Add a file of "
            "test rows.",
            icon=":material/warning:",
        )
    counts = Counter(one.label for one in task.train)
    if task.kind == "classification":
        st.caption(", ".join(f"{plain(word)} {counts[number]:,}"
                             for number, word in enumerate(task.label_words)))  # fmt: skip
    first = task.train[0]
    answer = first.target if first.label is None else task.label_words[first.label]
    st.caption("The model reads, and is to go on with what stands in brackets:")
    st.code(f"{task.fill(first)} [{answer}]", language=None, wrap_lines=True)


def _place(columns: Sequence[str], wanted: str, otherwise: int) -> int:
    return columns.index(wanted) if wanted in columns else otherwise


def _keep(definition: Definition, content: Mapping[str, bytes]) -> None:
    def keep() -> None:
        name = workspace().tasks.save(definition, content)
        st.session_state["t_task"] = str(workspace().tasks.path(name))
        st.session_state["done"] = f"Kept {name} and chose it in the form."
        st.session_state["kept_tasks"] = st.session_state.get("kept_tasks", 0) + 1

    attempt(keep)
