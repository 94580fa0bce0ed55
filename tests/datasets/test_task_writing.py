"""Definitions that are written are read as they were; data of one's own becomes a task."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.datasets import Columns, load_task
from probe.datasets.definition import Definition, definition_toml, read_definition
from probe.datasets.hub import HubSource
from probe.errors import DataError
from probe.store import Workspace
from probe.store.tasks import read_task

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MOODS = Definition("moods", template="{text} It was", label_words=("bad", "good"))
ROWS = b"".join(
    json.dumps({"text": f"text {i}", "label": i % 2}).encode() + b"\n" for i in range(20)
)


@settings(max_examples=60, deadline=None)
@given(TEXT, st.lists(TEXT, max_size=3), TEXT)
def test_any_texts_survive(tmp_path_factory, template: str, words: list[str], column: str) -> None:
    made = Definition(
        "name",
        template=template or "{text}",
        label_words=tuple(words),
        label_names=tuple(words),
        source=template,
        columns=Columns(text=column),
        files={"train": "rows.csv"},
    )
    path = tmp_path_factory.mktemp("task") / "task.toml"
    path.write_bytes(definition_toml(made).encode())
    assert read_definition(path) == made


def test_a_task_of_the_hub_is_not_written() -> None:
    with pytest.raises(ValueError, match="found one of the hub"):
        definition_toml(Definition("sst2", hub=HubSource("a/b")))


def test_one_file_is_kept_as_training_rows_and_a_tenth_validates(tmp_path: Path) -> None:
    tasks = Workspace(tmp_path).tasks
    assert tasks.names() == []
    assert tasks.save(MOODS, {"Anything.JSONL": ROWS}) == "moods"
    assert tasks.names() == ["moods"]
    task = load_task(tasks.path("moods"))
    assert (task.name, task.label_words) == ("moods", ("bad", "good"))
    assert (len(task.train), len(task.validation), len(task.test)) == (18, 2, 0)


def test_several_files_are_told_apart_by_their_names(tmp_path: Path) -> None:
    tasks = Workspace(tmp_path).tasks
    tasks.save(MOODS, {"Train.jsonl": ROWS, "dev.jsonl": ROWS, "test.csv": b"text,label\nx,good\n"})
    task = load_task(tasks.path("moods"))
    assert (len(task.train), len(task.validation), len(task.test)) == (20, 20, 1)
    with pytest.raises(DataError, match=r"mine\.jsonl: of several files each is named"):
        tasks.save(MOODS, {"train.jsonl": ROWS, "mine.jsonl": ROWS})


def test_tasks_that_are_kept_at_once_under_one_name_all_stay(tmp_path: Path) -> None:
    """A look at what is taken and the renaming are two steps."""
    tasks, together = Workspace(tmp_path).tasks, threading.Barrier(4)

    def keep(_: int) -> str:
        together.wait()
        return tasks.save(MOODS, {"x.jsonl": ROWS})

    with ThreadPoolExecutor(4) as threads:
        names = sorted(threads.map(keep, range(4)))
    assert names == ["moods", "moods-2", "moods-3", "moods-4"] == tasks.names()
    assert [load_task(tasks.path(name)).name for name in names] == names


def test_a_name_that_is_taken_or_no_folder_name_gets_another(tmp_path: Path) -> None:
    tasks = Workspace(tmp_path).tasks
    odd = Definition("../a b", label_words=("bad", "good"))
    names = [tasks.save(one, {"x.jsonl": ROWS}) for one in (MOODS, MOODS, odd)]
    assert names[:2] == ["moods", "moods-2"]
    assert "/" not in names[2]
    assert sorted(names) == tasks.names()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "fine", "label": 0}\n{"text": "", "label": 1}\n', "train.jsonl, line 2"),
        (b'{"text": "fine", "label": 7}\n', "train.jsonl, line 1: expected 'label' to be 0 to 1"),
        (b'{"text": "fine"\n', "train.jsonl, line 1: expected one JSON object per line"),
        (b"", "found no rows"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_nothing_is_kept(
    tmp_path: Path, content: bytes, message: str
) -> None:
    tasks = Workspace(tmp_path).tasks
    for read in (lambda: read_task(MOODS, {"x.jsonl": content}),
                 lambda: tasks.save(MOODS, {"x.jsonl": content})):  # fmt: skip
        with pytest.raises(DataError, match=message) as caught:
            read()
        assert str(tmp_path) not in str(caught.value)
    assert tasks.names() == []
    assert not list(tmp_path.rglob("*.jsonl"))
